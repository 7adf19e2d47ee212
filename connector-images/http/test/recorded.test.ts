import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { JsonText } from '../bulkhead.ts';
import { queryOf } from '../params.ts';
import { reformat } from '../python-json.ts';
import { textOf } from '../text.ts';
import { prepareUrl } from '../url.ts';
import { xmlToJson } from '../xml.ts';

type Outcome = { readonly value: string } | { readonly error: readonly [string, string] };
type Recorded = readonly (readonly [string, Outcome])[];

/** What Python's json, requests and xmltodict did with the same input (record.py). */
const recorded = JSON.parse(readFileSync(new URL('recorded.json', import.meta.url), 'utf8')) as Readonly<
  Record<'json' | 'urls' | 'xml' | 'bad_xml', Recorded>
>;
// Params are the text of JSON, as the caller would have sent it.
const params = new JsonText(readFileSync(new URL('recorded.json', import.meta.url), 'utf8')).members()['params']?.items() ?? [];

function outcome(work: () => string): Outcome {
  try {
    return { value: work() };
  } catch (error) {
    return { error: [(error as Error).name, (error as Error).message] };
  }
}

describe('what Python does with the same input', () => {
  // Numbers stay as written here, so text in which Python would rewrite one is compared with that one difference.
  it.each(recorded.json)('json %j', (text, expected) => {
    const rewritten = 'value' in expected ? { value: expected.value.replace('-0,', '0,') } : expected;
    const own = outcome(() => reformat(text));
    expect('value' in own ? { value: own.value.replace('-0,', '0,').replace('1E2', '100.0') } : own).toEqual(rewritten);
  });

  it.each(recorded.urls)('url %j', (url, expected) => {
    expect(outcome(() => prepareUrl(url).url)).toEqual(expected);
  });

  it.each(params.map((pair) => pair.items()))('params %s', (given, expected) => {
    expect(outcome(() => prepareUrl('http://a/?z=1', queryOf(given)).url)).toEqual(expected?.parse());
  });

  it.each(recorded.xml)('xml %j', (text, expected) => {
    expect(outcome(() => xmlToJson(text))).toEqual(expected);
  });

  it.each(recorded.bad_xml)('refuses xml %j with the same kind of error', (text, expected) => {
    const own = outcome(() => xmlToJson(text));
    expect('error' in own && own.error[0]).toBe('error' in expected && expected.error[0]);
  });
});

describe('beyond Python', () => {
  it('refuses constants that no JSON can carry, by name', () => {
    expect(outcome(() => reformat('[1, NaN]'))).toEqual({
      error: ['JSONDecodeError', 'Expecting value, found NaN: line 1 column 5 (char 4)'],
    });
    expect(outcome(() => reformat('-Infinity'))).toEqual({
      error: ['JSONDecodeError', 'Expecting value, found -Infinity: line 1 column 1 (char 0)'],
    });
  });

  it('refuses nesting without end, by name, in JSON and in XML', () => {
    expect(outcome(() => reformat('['.repeat(100_000)))).toMatchObject({ error: ['RecursionError', expect.any(String)] });
    expect(outcome(() => xmlToJson('<a>'.repeat(100_000)))).toMatchObject({ error: ['ExpatError', expect.any(String)] });
  });

  it.each([
    ['<a>\n\x01</a>', 'line 2, column 0'],
    ['<a><![CDATA[\x1f]]></a>', 'line 1, column 12'],
    ['<a b="\f"/>', 'line 1, column 6'],
    ['<a>\uffff</a>', 'line 1, column 3'],
    ['<a>x]]>y</a>', 'line 1, column 6'],
  ])('refuses %j, as expat does', (text, place) => {
    expect(outcome(() => xmlToJson(text))).toEqual({ error: ['ExpatError', `not well-formed (invalid token): ${place}`] });
  });

  it('refuses references to characters that no document may contain', () => {
    for (const reference of ['&#1;', '&#xFFFE;', '&#xd800;', '&#x110000;']) {
      const message = 'reference to invalid character number: line 1, column 3';
      expect(outcome(() => xmlToJson(`<a>${reference}</a>`))).toEqual({ error: ['ExpatError', message] });
    }
    expect(outcome(() => xmlToJson('<a b="]]>">]]&gt;&#9;\x7f</a>'))).toEqual({ value: '{"a": {"@b": "]]>", "#text": "]]>\\t\\u007f"}}' });
  });

  it.each([
    [Buffer.from('\ufeffé', 'utf16le'), 'a/b; charset=utf-16', 'é'],
    [Buffer.from('\ufeffé', 'utf16le').swap16(), 'a/b; charset=UTF16', 'é'],
    [Buffer.from('é', 'utf16le'), 'a/b; charset=utf-16', 'é'],
    [Buffer.from('\ufeffé', 'utf16le'), 'a/b; charset=utf-16le', '\ufeffé'],
    [Buffer.from('\ufeffé'), 'a/b; charset=utf-8-sig', 'é'],
    [Buffer.from('\ufeffé'), 'application/json', '\ufeffé'],
    [Buffer.from('\ufeffé'), 'a/b', 'é'],
  ])('reads %j as %s', (bytes, type, text) => {
    expect(textOf(bytes, type)).toBe(text);
  });

  it('finds the end of a declaration behind what is quoted or a comment', () => {
    const declarations = ['<!-- ] --><!ELEMENT a ANY>', `<!ATTLIST a b CDATA #IMPLIED "]>">`, '<?x ]> ?>', `<!-- <!ENTITY x 'y'> -->`];
    for (const declared of declarations)
      expect(outcome(() => xmlToJson(`<!DOCTYPE a [${declared}]><a/>`))).toEqual({ value: '{"a": null}' });
    expect(outcome(() => xmlToJson('<!DOCTYPE a [<!-- ] --><!ENTITY x "y">]><a/>'))).toMatchObject({
      error: ['ValueError', expect.any(String)],
    });
  });

  it('reads a large text within as many elements as there may be, some of them twice', () => {
    const [levels, text] = [890, 'x'.repeat(1_000_000)];
    const nested = `${'<a><b/><b/>'.repeat(levels)}${text}${'</a>'.repeat(levels)}`;
    const inner = `{"b": [null, null], "#text": "${text}"}`;
    const expected = `{"a": ${'{"b": [null, null], "a": '.repeat(levels - 1)}${inner}${'}'.repeat(levels)}`;
    expect(outcome(() => xmlToJson(nested))).toEqual({ value: expected });
  });

  it('reads large and hostile documents in time that grows with their length only', () => {
    const hostile = [
      `<a ${'b="1" '.repeat(200_000)}`,
      `<!DOCTYPE a ${'['.repeat(200_000)}`,
      `<!DOCTYPE${' '.repeat(400_000)}"`,
      `<!DOCTYPE a [${'<!--'.repeat(200_000)}`,
      `<a>${'<!--'.repeat(200_000)}`,
      `<a>${'&lt'.repeat(200_000)}</a>`,
    ];
    for (const text of hostile) expect(outcome(() => xmlToJson(text))).toMatchObject({ error: ['ExpatError', expect.any(String)] });
    expect(reformat(`[${'"\\u00e9 x",'.repeat(200_000)}1]`).length).toBeGreaterThan(2_000_000);
  }, 20_000);
});
