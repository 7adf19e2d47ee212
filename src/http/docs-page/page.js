// Shows /openapi.json and sends requests. What the server says is only ever set as text, never as markup.

/** An element with children; a string child is text. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** What was loaded: references lead into it. */
let openApi = {};

/** A schema with what it refers to; what stands beside the reference comes first. */
function resolved({ $ref: reference, ...beside }) {
  if (reference === undefined) return beside;
  const steps = reference.slice(2).split('/');
  const target = steps.reduce((at, step) => at?.[step.replaceAll('~1', '/').replaceAll('~0', '~')], openApi);
  return { ...resolved(target ?? {}), ...beside };
}

const byId = (id) => document.getElementById(id);

function keyHeaders() {
  const key = byId('key').value;
  return key === '' ? {} : { 'Spiff-Connector-Proxy-Api-Key': key };
}

async function load() {
  const operations = byId('operations');
  operations.replaceChildren(element('p', { className: 'dim' }, 'Loading …'));
  try {
    const response = await fetch('openapi.json', { headers: keyHeaders() });
    if (response.status === 401) throw new Error('This server wants an API key: enter one above.');
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    show(await response.json());
  } catch (error) {
    operations.replaceChildren(element('p', { className: 'bad' }, error.message));
  }
}

function show(loaded) {
  openApi = loaded;
  byId('version').textContent = openApi.info.version;
  const groups = new Map();
  for (const [path, methods] of Object.entries(openApi.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      groups.set(tag, [...(groups.get(tag) ?? []), operationElement({ path, method: method.toUpperCase(), operation })]);
    }
  }
  byId('operations').replaceChildren(...[...groups].map(([tag, items]) => element('section', {}, element('h2', {}, tag), ...items)));
  filter();
}

function operationElement({ path, method, operation }) {
  const title = element('summary', {}, element('b', {}, method), ` ${path} `, element('span', {}, operation.summary ?? ''));
  const details = element('details', {}, title);
  details.dataset.text = `${path} ${operation.summary ?? ''}`.toLowerCase();
  const schema = operation.requestBody?.content['application/json'].schema;
  // A server may have thousands of commands: what is within one is made when it is opened.
  details.addEventListener('toggle', () => details.append(bodyElement({ path, method, schema })), { once: true });
  return details;
}

function bodyElement({ path, method, schema }) {
  const input =
    schema === undefined ? undefined : element('textarea', { spellcheck: false, value: JSON.stringify(example(schema), null, 2) });
  input?.setAttribute('aria-label', 'Request body');
  const output = element('div');
  const send = element('button', { type: 'button' }, 'Send');
  send.addEventListener('click', () => sendRequest({ path, method, body: input?.value, output }));
  return element(
    'div',
    { className: 'operation' },
    ...(schema === undefined ? [] : [element('h3', {}, 'Parameters'), parametersElement(schema), element('h3', {}, 'Request body'), input]),
    send,
    output,
  );
}

function parametersElement(schema) {
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0) return element('p', { className: 'dim' }, schema.additionalProperties === false ? 'None.' : 'Any.');
  const required = new Set(schema.required ?? []);
  const rows = properties.map(([name, property]) =>
    element(
      'tr',
      {},
      element('td', {}, element('code', {}, name), required.has(name) ? element('span', { className: 'bad' }, ' required') : ''),
      element('td', {}, element('code', {}, typeText(property))),
      element('td', {}, noteText(property)),
    ),
  );
  return element('table', {}, element('tbody', {}, ...rows));
}

function typeText(written) {
  const schema = resolved(written);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.type === 'array') return `array of ${typeText(schema.items ?? {})}`;
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return options.map(typeText).join(' | ');
  return [schema.type ?? schema['x-spiff-type'] ?? 'any'].flat().join(' | ');
}

function noteText(schema) {
  const { description = '', default: preset, writeOnly } = resolved(schema);
  const notes = [description, preset === undefined ? '' : `Default: ${JSON.stringify(preset)}.`, writeOnly ? 'Secret.' : ''];
  return notes.filter((note) => note !== '').join(' ');
}

/** A body to begin with: the required parameters, each with its example, its default, or an empty value of its type. */
function example(schema) {
  const required = new Set(schema.required ?? []);
  const entries = Object.entries(schema.properties ?? {}).filter(([name]) => required.has(name));
  return Object.fromEntries(entries.map(([name, property]) => [name, exampleValue(property)]));
}

function exampleValue(schema) {
  const { examples, default: preset, enum: values, type } = resolved(schema);
  const given = examples?.[0] ?? preset ?? values?.[0];
  if (given !== undefined) return given;
  return { integer: 0, number: 0, boolean: false, object: {}, array: [], null: null }[[type].flat()[0]] ?? '';
}

async function sendRequest({ path, method, body, output }) {
  output.replaceChildren(element('p', { className: 'dim' }, 'Waiting …'));
  try {
    const headers = { ...keyHeaders(), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) };
    const response = await fetch(path.slice(1), { method, headers, ...(body === undefined ? {} : { body }) });
    // The text as it came: parsing it could change numbers.
    output.replaceChildren(...responseElements(response, await response.text()));
  } catch (error) {
    output.replaceChildren(element('p', { className: 'bad' }, `No answer: ${error.message}`));
  }
}

function responseElements(response, text) {
  const id = response.headers.get('Invocation-Id');
  return [
    element('h3', {}, 'Answer'),
    element('p', { className: response.ok ? 'good' : 'bad' }, `${response.status} ${response.headers.get('Content-Type') ?? ''}`),
    ...(id === null ? [] : [element('p', { className: 'dim' }, `Invocation-Id: ${id}`)]),
    element('pre', {}, text),
  ];
}

function filter() {
  const wanted = byId('find').value.toLowerCase();
  for (const section of document.querySelectorAll('section')) {
    const items = [...section.querySelectorAll('details')];
    for (const item of items) item.hidden = !item.dataset.text.includes(wanted);
    section.hidden = items.every((item) => item.hidden);
  }
}

byId('access').addEventListener('submit', (event) => {
  event.preventDefault();
  void load();
});
byId('find').addEventListener('input', filter);
void load();
