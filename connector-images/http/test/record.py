"""Records what the reference's libraries do with odd input, for recorded.test.ts: python3 record.py > recorded.json (requests, xmltodict)."""
import importlib.metadata
import json
import sys

import requests
import xmltodict


def outcome(work):
    try:
        return {"value": work()}
    except Exception as error:
        return {"error": [type(error).__name__, str(error)]}


JSON = [
    "", " ", "NOT JSON", "{", "{}", "[]", "[", "[1", "[1,", "[1,]", "[1 2]", "[1,,2]", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{"a" 1}',
    '{"a":1 "b":2}', "{a:1}", "{'a':1}", '"', '"abc', '"a\nb"', '"a\tb"', '"\\', '"\\x"', '"\\u12"', '"\\u12G4"', '"\\ud800"', '"\\u', '"\\u1234',
    "01", "1.", ".5", "-", "-a", "1e", "1e+", "+1", "tru", "true false", "nul", "truefalse", "1 2", "[1]]", "\ufeff{}", "\n\n  x", "\n[1,\n  2,\n x]",
    '"é\U0001f600" x', '["\U0001f600",\n"\U0001f600\U0001f600" 1]', ' { "b" : [ 1.0 , -0 , 1E2 ] , "a" : "\\u00e9\\/\x7f" } ', '{"10":1,"9":{}}',
    '"naïve ☃ \U0001f600 \\u2028"', '[[[[]]]]', '[true,false,null]', "\u00a01", "[\x0b1]", '{"a":1}\x00', "123456789012345678901234567890",
]
URLS = [
    "foo", "http://", "ftp://x/y", "http://*x/", "http://.x/", "http:///a", "", "http://x:abc/", "http://[::1", "1", "mailto:x", "http://ü.example:1/",
    "http://exa mple/", "HTTPX://a", "localhost:8080/x", "http://a:99999/", "HTTP://A.B/C", " http://a/", "http://127.0.0.1:9/x y?q=a b&c=%zz#f",
    "http://A.b:80/../x/%7euser/ü?é", "http://u:p@127.0.0.1:9/", "http://127.0.0.1:9?x=1", "http://a/./b/../c/.", "http://a/b/..", "http://a/%2e%2e/b",
    "http://a/%41%2f%c3?%41", 'http://a/"<>\\^`{|}', "http://[::1]:80/x", "http://a/?", "http://a/#", "http://a:/b", "http://a/b?x=[1]&y=a+b", "https://a",
    "http://a/%", "http://a//b", "//a/b", "/a/b", "http//a", "http:a",
]
PARAMS = [
    None, {}, {"a": "1", "b": ["x", "y"], "c": None}, {"d": True, "e": 1.0, "f": "ü &+~*-_.!'()", "g": {"k": 1}}, "x=1&y", "", "ü x", [["a", "b"], ["c", [1, None, 2]]],
    {"": ""}, {"a": []}, {"a": [None, False]}, {"10": 1, "9": 2}, 0, False, [],
]
XML = [
    "<a/>", "<a></a>", "<a> </a>", "<a>x</a>", '<a b="1"/>', '<a b="1">x</a>', "<a><b/></a>", "<a><b>1</b><b>2</b><c/><b/></a>", "<a>x<b>1</b>y</a>",
    "<a><![CDATA[<&>]]></a>", "<a>&lt;&amp;&#65;&#x1F600;&quot;&apos;</a>", '<?xml version="1.0"?><a/>', "<!-- c --><a><!-- d -->x<!-- e -->y</a><!-- f -->",
    '<n:a xmlns:n="u"><n:b n:c="1"/></n:a>', '<a xmlns="u"/>', "<a>\r\n x \r y\n</a>", '<a b="x\ny\tz  &#10;w"/>', "<a><?pi x?>1</a>", "<a><ü>é</ü></a>",
    '<!DOCTYPE a><a/>', '<!DOCTYPE a [<!ELEMENT a ANY>]><a/>', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', '<!DOCTYPE a SYSTEM "http://x/y.dtd"><a/>',
    "<a b='1' c=\"2\"/>", "<a   b = '1' />", "<a b='>'/>", "<a>]]</a>", "<_10><_9>1</_9><_8>2</_8></_10>", "<a><__proto__>1</__proto__></a>", "\n<a/>\n",
]
BAD_XML = ["", "x", "<a>", "<a></b>", "<a/><b/>", "<a/>x", "<a b='1' b='2'/>", "<a b=1/>", "<a>&x;</a>", "<a>&</a>", "<a><</a>", "plain text", "<a b='<'/>", "<a>&#0;</a>", "{}", "<10/>"]

recorded = {
    "with": {"xmltodict": importlib.metadata.version("xmltodict"), "python": sys.version.split()[0], "requests": requests.__version__},
    "json": [[text, outcome(lambda: json.dumps(json.loads(text)))] for text in JSON],
}


def prepared(url, params):
    request = requests.Request("GET", url, params=params).prepare()
    requests.Session().get_adapter(request.url)
    return request.url


recorded["urls"] = [[url, outcome(lambda: prepared(url, None))] for url in URLS]
recorded["params"] = [[params, outcome(lambda: prepared("http://a/?z=1", params))] for params in PARAMS]
recorded["xml"] = [[text, outcome(lambda: json.dumps(xmltodict.parse(text)))] for text in XML]
recorded["bad_xml"] = [[text, outcome(lambda: json.dumps(xmltodict.parse(text)))] for text in BAD_XML]
json.dump(recorded, sys.stdout, indent=1)
print()
