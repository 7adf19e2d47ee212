import { lstatSync, realpathSync } from 'node:fs';
import { expect, it } from 'vitest';
import { findMachineLayout } from '../../../src/runner/machine-layout.ts';

const { rootEntries, systemPaths, nodePath } = findMachineLayout('/opt/node/bin/node');

it('knows the Node that it was given', () => {
  expect(nodePath).toBe('/opt/node/bin/node');
});

it('has links of the root as they are, from the root', () => {
  const links = rootEntries.filter(({ link }) => link !== undefined);
  expect(links.length).toBeGreaterThan(0);
  for (const { path, link } of links) expect(realpathSync(`/${link}`)).toBe(realpathSync(path));
});

it('has as a link only what is one, to where /usr, which is shown, has it', () => {
  expect(systemPaths.length).toBeGreaterThan(0);
  for (const { path, link } of systemPaths) {
    const real = realpathSync(path);
    expect(link).toBe(lstatSync(path).isSymbolicLink() && real.startsWith('/usr/') ? real : undefined);
  }
});
