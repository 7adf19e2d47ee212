/** The same command as an MCP tool: a stdio server of the official SDK. */
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const text = { type: 'string' } as const;
const inputSchema = { type: 'object', required: ['arg1', 'arg2'], properties: { arg1: text, arg2: text } } as const;
const server = new Server({ name: 'bench', version: '1.0.0' }, { capabilities: { tools: {} } });
server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [{ name: 'CombineStrings', description: 'Returns both', inputSchema }] }));
server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
  const { arg1, arg2 } = params.arguments ?? {};
  return { content: [{ type: 'text', text: JSON.stringify({ arg1, arg2 }) }] };
});
await server.connect(new StdioServerTransport());
