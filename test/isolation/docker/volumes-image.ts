import type { DockerEngine } from '../../../src/runner/docker-engine.ts';
import { buildImage } from '../../helpers/docker-runner.ts';

/** Waits for a line, tells of each of its arguments whether a file can be made there, then shows what is mounted. */
const script = `
read go
for path in "$@"; do
  if (echo x > "$path/file") 2>/dev/null; then echo "$path writable"; else echo "$path refused"; fi
done
cat /proc/mounts
`;

export const declaredVolumes = [
  '/scratch',
  '/made/up/../by/nobody/',
  '/link/inner',
  '/linked',
  '/tmp',
  '/tmp/inner',
  '/run',
  '/data',
  '/nested',
  '/nested/a/b',
];

/** An image that declares volumes, some of them so that they are hard to cover, and tries to write to each. */
export async function volumesImage(
  engine: DockerEngine | undefined,
  name: string,
  volumes: readonly string[] = declaredVolumes,
): Promise<string> {
  if (engine === undefined) throw new Error('no engine');
  const dockerfile = [
    'FROM bulkhead-base/shell:local',
    'COPY main.sh /main.sh',
    // In a shell of the image: a folder for everybody, with a file; links to where the connector may write.
    'RUN mkdir -p /scratch /nested && echo content > /scratch/own && chmod 777 /scratch /nested && ln -s /tmp /link && ln -s /scratch /linked',
    `VOLUME ${JSON.stringify(volumes)}`,
    `ENTRYPOINT ${JSON.stringify(['/bin/sh', '/main.sh', ...declaredVolumes])}`,
  ].join('\n');
  return await buildImage(engine, `bulkhead-test/volumes-${name}:local`, dockerfile, { 'main.sh': script });
}
