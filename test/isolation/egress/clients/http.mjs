import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { report } from './report.mjs';

await report(async (url) => {
  const request = (url.startsWith('https:') ? https : http).get(url);
  const [answer] = await once(request, 'response');
  return { status: answer.statusCode, body: await text(answer) };
});
