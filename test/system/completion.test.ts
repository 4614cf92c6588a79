import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { completionScript } from '../../src/runtime/cli/completion.js';
import { announce, missing } from './access-network.js';

const run = promisify(execFile);
const canRun = announce('completion in zsh', missing('zsh'));

describe.runIf(canRun)('The completion script in zsh', () => {
  it('adds candidates at each call, also while zsh loads it, and registers itself when it is sourced', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pana-zsh-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, '_pana-aaa'), completionScript('pana-aaa', 'zsh'));
    await writeFile(join(folder, 'pana-aaa'), '#!/bin/sh\necho "$*"\n', { mode: 0o755 });
    // What compinit does, with stand-ins for the builtin functions of completion.
    const commands = `
      compadd() { print -r -- "add $found" }
      compdef() { print -r -- "register $*" }
      fpath=(${folder})
      words=(${folder}/pana-aaa subscriber rem) CURRENT=3
      autoload -Uz _pana-aaa
      _pana-aaa
      _pana-aaa
      source ${folder}/_pana-aaa`;
    const { stdout } = await run('zsh', ['-f', '-c', commands], { env: { PATH: process.env['PATH'] } });
    const added = 'add --complete subscriber rem';
    expect(stdout.trim().split('\n')).toEqual([added, added, 'register _pana-aaa pana-aaa']);
  });
});
