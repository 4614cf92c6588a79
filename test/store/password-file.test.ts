import { describe, expect, it } from 'vitest';
import { passwordIn } from '../../src/store/password-file.js';

const PLACE = { host: 'db.home.example', port: 5432, database: 'pana', user: 'aaa' };

describe('a password file', () => {
  it.each([
    ['db.home.example:5432:pana:aaa:secret', 'secret'],
    ['*:*:*:*:secret', 'secret'],
    ['*:*:*:*:secret\r', 'secret'],
    // The last field is the rest of the line.
    [String.raw`*:*:*:*:a:b\:c\\d`, String.raw`a:b:c\d`],
    ['other:*:*:*:wrong\n#*:*:*:*:wrong\n*:*:*:wrong\n\n*:*:*:*:secret\n*:*:*:*:late', 'secret'],
    ['db.home.example:5433:*:*:wrong', undefined],
    ['*:*:pan:*:wrong\n*:*:*:aa:wrong\n*:*:*:*:', undefined],
    ['', undefined],
  ])('%j says %j', (text, password) => {
    expect(passwordIn(text, PLACE)).toBe(password);
  });

  it('may have colons and backslashes in its fields', () => {
    const place = { ...PLACE, host: '2001:db8::5', user: String.raw`a\b` };
    expect(passwordIn(String.raw`2001\:db8\:\:5:*:*:a\\b:secret`, place)).toBe('secret');
    expect(passwordIn(String.raw`2001:db8::5:*:*:a\\b:secret`, place)).toBe(undefined);
  });

  it('calls the host of a UNIX socket by its folder, or localhost', () => {
    const place = { ...PLACE, host: '/var/run/postgresql' };
    expect(passwordIn('localhost:*:*:*:secret', place)).toBe('secret');
    expect(passwordIn('/var/run/postgresql:*:*:*:secret', place)).toBe('secret');
    expect(passwordIn('127.0.0.1:*:*:*:secret', place)).toBe(undefined);
  });
});
