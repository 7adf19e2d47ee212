import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ServedBulkhead, serveBulkhead } from '../../helpers/served-bulkhead.ts';

const browserPath = '/usr/bin/chromium';
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const manifest = `
name: maps
version: 1.0.0
run: { command: [never-started] }
commands:
  - name: Find
    parameters:
      type: object
      required: [near]
      $defs: { place: { type: string, description: A place, examples: [Nome] } }
      properties: { near: { $ref: "#/$defs/place" }, others: { type: array, items: { $ref: "#/$defs/place" } } }
`;

const config = (folder: string): string => `
server: { apiKeys: [{ name: arena, key: { env: API_KEY }, connectors: ["*"] }] }
connectors:
  example: { path: PROJECT/connector-images/example, sandbox: none }
  http: { path: PROJECT/connector-images/http, sandbox: none }
  maps: { path: ${folder}, sandbox: none }
`;

describe.skipIf(!existsSync(browserPath))('the API page in a browser', () => {
  let bulkhead: ServedBulkhead;
  let browser: Browser;
  let page: Page;
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-test-'));
  const outside: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    writeFileSync(join(folder, 'connector.yaml'), manifest);
    bulkhead = await serveBulkhead({ config: config(folder), environment: { API_KEY: 's3cret' } });
    browser = await chromium.launch({ executablePath: browserPath, args: flags });
    page = await browser.newPage();
    // Whatever is not this server does not exist: the page must do without.
    await page.route('**', (route) => {
      if (route.request().url().startsWith(bulkhead.url)) return route.continue();
      outside.push(route.request().url());
      return route.abort();
    });
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${bulkhead.url}/docs`);
  });

  afterAll(async () => {
    await browser?.close();
    await bulkhead?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('asks for the key, shows every command, runs one, and loads nothing from elsewhere', async () => {
    await page.getByText('This server wants an API key').waitFor();
    await page.getByLabel('API key').fill('s3cret');
    await page.getByRole('button', { name: 'Load' }).click();
    await page.getByText('/v1/do/http/GetRequestV2').waitFor();
    expect(await page.locator('details').count()).toBe(21);

    await page.getByLabel('Find').fill('combine');
    expect(await page.locator('details:visible').count()).toBe(1);
    await page.locator('details:visible summary').click();
    await page.getByLabel('Request body').fill('{"arg1": 1.0, "arg2": "<b>not markup</b>"}');
    await page.getByRole('button', { name: 'Send' }).click();
    const answer = page.locator('pre');
    await answer.waitFor();
    expect(await answer.textContent()).toContain('"arg1":1.0,"arg2":"<b>not markup</b>"');
    expect(await page.locator('pre b').count()).toBe(0);

    await page.getByLabel('Find').fill('maps');
    await page.locator('details:visible summary').click();
    expect(await page.locator('td:visible').allTextContents()).toEqual([
      'near required',
      'string',
      'A place',
      'others',
      'array of string',
      '',
    ]);
    expect(await page.locator('textarea:visible').inputValue()).toBe('{\n  "near": "Nome"\n}');

    expect(outside).toEqual([]);
    // The one refusal before the key was entered.
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([]);
  });
});
