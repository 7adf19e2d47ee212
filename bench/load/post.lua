-- One POST again and again; the body is the content of the file named by BODY. With CONNECTS_ANEW each has a connection of its own.
-- Prints one line of JSON at the end.
local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.body = file:read("*a")
file:close()

if os.getenv("CONNECTS_ANEW") then
  wrk.headers["Connection"] = "close"
end

-- Calls of one MCP session, whose ids must differ: two under way with the same one would wait for each other's answer for ever.
local session = os.getenv("MCP_SESSION")
if session then
  wrk.headers["Mcp-Session-Id"] = session
  local count = 1
  request = function()
    count = count + 1
    return wrk.format(nil, nil, nil, (wrk.body:gsub('"id":0', '"id":' .. count, 1)))
  end
end

done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format('{"requests":%d,"failed":%d,"durationUs":%d,"p50Us":%d,"p90Us":%d,"p99Us":%d,"maxUs":%d}', summary.requests, failed,
    summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
