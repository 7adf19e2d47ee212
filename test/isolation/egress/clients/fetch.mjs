import { report } from './report.mjs';

await report(async (url) => {
  const answer = await fetch(url);
  return { status: answer.status, body: await answer.text() };
});
