import { describe, expect, it } from 'vitest';
import { LeaveController } from '../../../src/lib/leave-signal.ts';

function listenerInto(told: string[], name: string) {
  return { handleEvent: () => void told.push(name) };
}

describe('a leave signal', () => {
  it('tells who has joined, once, in the order of joining', () => {
    const told: string[] = [];
    const controller = new LeaveController();
    for (const name of ['first', 'second']) controller.addEventListener('abort', listenerInto(told, name));
    controller.abort();
    controller.abort();
    expect(told).toEqual(['first', 'second']);
    expect(controller.aborted).toBe(true);
  });

  it('does not tell who has left', () => {
    const told: string[] = [];
    const controller = new LeaveController();
    const leaver = listenerInto(told, 'leaver');
    controller.addEventListener('abort', leaver);
    controller.removeEventListener('abort', leaver);
    controller.abort();
    expect(told).toEqual([]);
  });

  it('lets a listener leave or join while it is told', () => {
    const told: string[] = [];
    const controller = new LeaveController();
    const late = listenerInto(told, 'late');
    controller.addEventListener('abort', { handleEvent: () => controller.addEventListener('abort', late) });
    controller.abort();
    expect(told).toEqual([]);
  });
});
