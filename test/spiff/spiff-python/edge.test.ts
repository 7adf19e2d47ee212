import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TemporaryFolder } from '../../helpers/cli-process.ts';
import { type ServedBulkhead, serveBulkhead } from '../../helpers/served-bulkhead.ts';
import { discover, spiffFolder } from '../../helpers/spiff-packages.ts';
import type { Difference } from '../differences.ts';
import { readFixtures } from '../fixtures.ts';
import { expectDifference, expectRecorded, replay } from '../replay.ts';
import { differences } from './differences.ts';

/** OAuth has routes of its own, which Bulkhead does not have. */
const fixtures = readFixtures().filter(({ instance, name }) => instance === 'edge' && !name.startsWith('auth_'));

test('every recorded exchange with the package is run, and no difference is left over', () => {
  const names = fixtures.map(({ name }) => name);
  expect(names).toHaveLength(48);
  expect(Object.keys(differences).filter((name) => !names.includes(name))).toEqual([]);
});

describe('connector_edge, unmodified and in its sandbox', () => {
  let folder: TemporaryFolder;
  let bulkhead: ServedBulkhead;
  beforeAll(async () => {
    folder = await spiffFolder({ packages: ['packages/connector_edge'] });
    await discover(folder);
    bulkhead = await serveBulkhead({ config: `connectors:\n  edge: { path: ${folder.path} }` });
  });
  afterAll(async () => {
    await bulkhead[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test.each(fixtures.filter(({ name }) => !(name in differences)))('$name is as recorded', async (fixture) => {
    const answer = await replay(fixture, bulkhead.url, 0);
    expectRecorded(answer, fixture, 0);
    // What Python wrote is passed on byte for byte.
    expect(answer.body).toBe(fixture.response.body ?? '');
  });

  test.each(fixtures.filter(({ name }) => name in differences))('$name differs on purpose', async (fixture) => {
    const answer = await replay(fixture, bulkhead.url, 0);
    expectDifference(answer, differences[fixture.name] as Difference);
    // A difference that is none any more must leave the table.
    expect(() => expectRecorded(answer, fixture, 0)).toThrow();
  });
});
