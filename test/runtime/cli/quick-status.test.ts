import { describe, expect, it } from 'vitest';
import { statusAsked, valueIn } from '../../../src/runtime/cli/quick-status.js';

const asked = (words: string, environment: Record<string, string> = {}) =>
  statusAsked(words.split(' '), environment, 'pana-paa', 'PANA_PAA');

describe('The short way to the state of a daemon', () => {
  it('is for status with at most --json and a socket', () => {
    const usual = '/var/run/pana-paa/control.sock';
    expect(asked('status')).toEqual({ socket: usual, json: false });
    expect(asked('status --json')).toEqual({ socket: usual, json: true });
    expect(asked('status --control.socket a.sock')).toEqual({ socket: 'a.sock', json: false });
    expect(asked('status --json --control.socket a.sock')).toEqual({ socket: 'a.sock', json: true });
    expect(asked('status', { PANA_PAC_CONFIG: 'x', PANA_PAAX: 'y' })).toEqual({ socket: usual, json: false });
  });

  it.each([
    'run',
    'status --watch',
    'status --json --watch',
    'status --help',
    'status extra',
    'status -c file',
    'status --control.socket',
    'status --control.socket -x',
    'status --control.socket "x"',
    'status --control.socket a --control.socket b',
    'status --control.socket a --json',
  ])('is not for %s', (words) => {
    expect(asked(words)).toBeUndefined();
  });

  it('is not taken if the environment may name another socket', () => {
    for (const name of ['PANA_PAA_CONFIG', 'PANA_PAA_CONTROL_SOCKET', 'PANA_PAA_LOG_LEVEL']) {
      expect(asked('status', { [name]: 'x' })).toBeUndefined();
    }
  });

  it('takes whole answers with a value, and nothing else', () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close';
    expect(valueIn(`${head}\r\n\r\n{"a":1}`)).toEqual({ a: 1 });
    for (const answer of [
      '',
      head,
      `${head}\r\n\r\n`,
      `${head}\r\n\r\n{"a":`,
      `${head.replace('200 OK', '403 Forbidden')}\r\n\r\n{"error":"no"}`,
      `${head.replace('application/json', 'text/plain')}\r\n\r\n{"a":1}`,
    ]) {
      expect(valueIn(answer), answer).toBeUndefined();
    }
  });
});
