import { existsSync } from 'node:fs';
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

const config = `
server: { apiKeys: [{ name: arena, key: { env: API_KEY }, connectors: ["*"] }] }
connectors:
  example: { path: PROJECT/connector-images/example, sandbox: none }
  http: { path: PROJECT/connector-images/http, sandbox: none }
`;

describe.skipIf(!existsSync(browserPath))('the API page in a browser', () => {
  let bulkhead: ServedBulkhead;
  let browser: Browser;
  let page: Page;
  const outside: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    bulkhead = await serveBulkhead({ config, environment: { API_KEY: 's3cret' } });
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
  });

  test('asks for the key, shows every command, runs one, and loads nothing from elsewhere', async () => {
    await page.getByText('This server wants an API key').waitFor();
    await page.getByLabel('API key').fill('s3cret');
    await page.getByRole('button', { name: 'Load' }).click();
    await page.getByText('/v1/do/http/GetRequestV2').waitFor();
    expect(await page.locator('details').count()).toBe(20);

    await page.getByLabel('Find').fill('combine');
    expect(await page.locator('details:visible').count()).toBe(1);
    await page.locator('details:visible summary').click();
    await page.getByLabel('Request body').fill('{"arg1": 1.0, "arg2": "<b>not markup</b>"}');
    await page.getByRole('button', { name: 'Send' }).click();
    const answer = page.locator('pre');
    await answer.waitFor();
    expect(await answer.textContent()).toContain('"arg1":1.0,"arg2":"<b>not markup</b>"');
    expect(await page.locator('pre b').count()).toBe(0);

    expect(outside).toEqual([]);
    // The one refusal before the key was entered.
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([]);
  });
});
