import { expect, test } from 'vitest';
import { containerIdOf } from '../../../src/runner/own-container.ts';

const [id, other] = ['a'.repeat(64), '0123456789abcdef'.repeat(4)];

test.each([
  ['Docker', `750 733 254:1 /var/lib/docker/containers/${id}/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw`, id],
  ['Podman', `750 733 0:25 /containers/storage/overlay-containers/${id}/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw`, id],
  ['an engine in a container', `1 2 0:1 /containers/${other}/x/containers/${id}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw`, id],
  ['a pod', `1 2 0:1 /var/lib/kubelet/pods/1-2/etc-hosts /etc/hosts rw - ext4 /dev/vda1 rw`, undefined],
  ['somebody’s own mount', `1 2 0:1 /var/lib/docker/containers/${id}/hostname /mnt/hostname rw - ext4 /dev/vda1 rw`, undefined],
  ['a machine', '22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n', undefined],
])('the container is told by the mounts of %s', (_, line, expected) => {
  expect(containerIdOf(`22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n${line}\n`)).toBe(expected);
});
