/** One line of JSON for each target, with what came of it and how long it took. */
export async function report(work) {
  for (const target of process.argv.slice(2)) {
    const began = performance.now();
    const told = await work(target).then(
      (result) => ({ ok: true, ...result }),
      (error) => ({ ok: false, error: [error, error.cause].map((e) => e && `${e.code ?? e.name}: ${e.message}`).join(' / ') }),
    );
    process.stdout.write(`${JSON.stringify({ target, ...told, ms: Math.round(performance.now() - began) })}\n`);
  }
}
