import { describe, expect, it } from 'vitest';
import { adopt } from '../../../src/runtime/config/reload.js';
import { plainLine } from '../../../src/runtime/log/log.js';
import { assignmentsOf, notifyOptionsOf } from '../../../src/runtime/service/service-manager.js';

describe('notifyOptionsOf', () => {
  it.each([
    [{}, undefined],
    [{ NOTIFY_SOCKET: '' }, undefined],
    [{ NOTIFY_SOCKET: '/run/n' }, { watchdog: undefined }],
    [{ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '3000000' }, { watchdog: 3000 }],
    [{ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '7' }, { watchdog: 3000 }],
    [{ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '8' }, { watchdog: undefined }],
    [{ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: 'x' }, { watchdog: undefined }],
    [{ WATCHDOG_USEC: '3000000' }, undefined],
  ])('reads %j', (environment, wishes) => {
    expect(notifyOptionsOf(environment, 7)).toEqual(wishes);
  });
});

describe('assignmentsOf', () => {
  it('writes each assignment on one line', () => {
    expect(assignmentsOf([{ type: 'ready' }, { type: 'status', text: 'two\nlines' }])).toEqual([
      'READY=1',
      'STATUS=two lines',
    ]);
    expect(assignmentsOf([{ type: 'reloading', at: 12n }])).toEqual(['RELOADING=1', 'MONOTONIC_USEC=12']);
    expect(assignmentsOf([{ type: 'stopping' }])).toEqual(['STOPPING=1']);
    expect(assignmentsOf([{ type: 'stopping', within: 28_600 }])).toEqual([
      'STOPPING=1',
      'EXTEND_TIMEOUT_USEC=33600000',
    ]);
    expect(assignmentsOf([{ type: 'status', text: 'x'.repeat(500) }])[0]).toHaveLength('STATUS='.length + 200);
  });
});

describe('plainLine', () => {
  const line = JSON.stringify({
    level: 40,
    time: 'T',
    at: 1,
    name: 'pana-paa',
    session: '0a1b2c3d',
    n: 3,
    reason: 'a b\n<0>c',
    list: ['x'],
    empty: '',
    msg: 'refused',
  });

  it('writes a priority for the journal, no time and no line break', () => {
    const rest = 'refused session=0a1b2c3d n=3 reason="a b\\n<0>c" list=["x"] empty=""';
    expect(plainLine(line, 'journal')).toBe(`<4>${rest}`);
    expect(plainLine(line, 'plain')).toBe(`warn: ${rest}`);
  });
});

describe('adopt', () => {
  const running = {
    a: { x: 1, y: [1, { z: 2 }] },
    b: 'b',
    c: undefined as object | undefined,
    d: { e: 1 },
  };

  it('takes reloadable keys and lists other changed keys', () => {
    const fresh = {
      a: { x: 2, y: [1, { z: 3 }] },
      b: 'c',
      c: { f: 1 },
      d: { e: 2 },
    };
    expect(adopt(running, fresh, ['a.y', 'd.*'])).toEqual({
      options: { ...running, a: { x: 1, y: [1, { z: 3 }] }, d: { e: 2 } },
      left: ['a.x', 'b', 'c'],
    });
  });

  it('adds or removes a section only if the section itself is reloadable', () => {
    const fresh = { ...running, c: { f: 1 } };
    expect(adopt(running, fresh, ['c.*']).left).toEqual(['c']);
    expect(adopt(running, fresh, ['c']).options).toEqual(fresh);
    expect(adopt(fresh, running, ['c']).options).toEqual(running);
    expect(adopt(fresh, { ...fresh, c: { f: 2 } }, ['c']).left).toEqual(['c.f']);
  });

  it('changes nothing if the options are equal', () => {
    expect(adopt(running, structuredClone(running), [])).toEqual({
      options: running,
      left: [],
    });
  });
});
