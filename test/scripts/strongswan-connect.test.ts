import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runHook, testNode } from './hook-rig.js';

const NAME = 'pana-2001-db8-1--1001';
const UP = '{state=ESTABLISHED child-sas {mip6 {state=INSTALLED}}}';
/** A half-open IKE_SA, as charon 5.9.8 lists it. The responder's SPI is zero until it has answered. */
const begun = (responder: string) =>
  `list-sa event {${NAME}-1 {uniqueid=1 version=2 state=CONNECTING local-port=500 initiator=yes initiator-spi=0a02030405060708 responder-spi=${responder} tasks-active=[IKE_AUTH] child-sas {}}}`;
let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-connect-'));
  bin = join(state, 'bin');
  await mkdir(bin);
  const settings = ['IKE=strongswan', 'MOBILITY=none', 'WATCH=no', `SWANCTL_DIR=${state}/swanctl`];
  await writeFile(join(state, 'hooks.conf'), `${settings.join('\n')}\n`);
  await program('sleep', 'exit 0');
  await program('ping', 'exit 1');
  await program('ip', "echo '2: eth0    inet6 2001:db8:a::11/64 scope global'");
});

afterEach(() => rm(state, { recursive: true, force: true }));

const program = (name: string, text: string) =>
  writeFile(join(bin, name), `#!/bin/sh\nbin=${bin}\n${text}\n`, {
    mode: 0o755,
  });

/** A charon that lists `before` until swanctl was run with `until`, and `after` from then on. */
const charon = (before: string, until: string, after: string) =>
  program(
    'swanctl',
    `echo "$*" >>"$bin/calls"
case "$*" in *${until}*) touch "$bin/changed" ;; esac
case $1 in
--load-all) for n in 1 2; do echo "loaded ike secret 'ike-${NAME}-$n' loaded connection '${NAME}-$n'"; done ;;
--list-sas) if [ -e "$bin/changed" ]; then echo '${after}'; else echo '${before}'; fi ;;
esac`,
  );

async function runs(event: string, key?: string): Promise<{ readonly output: string; readonly calls: string[] }> {
  const given = {
    script: 'mn-linux.sh',
    event,
    node: testNode(1),
    programs: bin,
    ...(key ? { key } : {}),
  };
  const { status, output } = await runHook(state, given);
  expect(status, output).toBe(0);
  const calls = (await readFile(join(bin, 'calls'), 'utf8')).trim().split('\n');
  await rm(join(bin, 'calls'));
  return { output, calls };
}

describe('mn-linux.sh with strongSwan', () => {
  it('waits for the SAs that charon makes when it has loaded the connection', async () => {
    await charon('', '--list-sas', `list-sa event {${NAME}-1 ${UP}}`);
    const { calls, output } = await runs('up');
    expect(calls).toEqual(['--load-all --noprompt', '--list-sas --raw']);
    expect(output).toMatch(/^IKE_SA up \d+ ms after the hook began \(1 tries\)$/m);
  });

  it('makes a new IKE_SA if the first one gets no answer', async () => {
    await charon(begun('0000000000000000'), '--initiate', `list-sa event {${NAME}-1 ${UP}}`);
    const { calls, output } = await runs('up');
    expect(calls.filter((call) => !call.startsWith('--list-sas'))).toEqual([
      '--load-all --noprompt',
      `--terminate --ike ${NAME}-1 --force`,
      `--initiate --child mip6 --ike ${NAME}-1 --timeout -1`,
    ]);
    expect(output).toContain('(2 tries)');
  });

  it('makes no new IKE_SA if the answer to the first one was on its way', async () => {
    await charon(begun('0000000000000000'), 'never', `list-sa event {${NAME}-1 ${UP}}`);
    await program('ping', 'echo "$*" >>"$bin/pings"; touch "$bin/changed"');
    const { calls, output } = await runs('up');
    expect(calls.filter((call) => !call.startsWith('--list-sas'))).toEqual(['--load-all --noprompt']);
    expect(output).toContain('(1 tries)');
    expect(await readFile(join(bin, 'pings'), 'utf8')).toBe('-6 -n -c 1 -i 0.2 -w 1 -I 2001:db8:a::11 2001:db8:1::1\n');
  });

  it('makes a new IKE_SA as soon as a ping shows that the link is open and the first message was lost', async () => {
    await charon(begun('0000000000000000'), '--initiate', `list-sa event {${NAME}-1 ${UP}}`);
    await program('ping', 'echo ping >>"$bin/calls"');
    const { calls } = await runs('up');
    const rest = calls.slice(calls.indexOf('ping'));
    expect(rest).toEqual([
      'ping',
      '--list-sas --raw',
      `--terminate --ike ${NAME}-1 --force`,
      `--initiate --child mip6 --ike ${NAME}-1 --timeout -1`,
      '--list-sas --raw',
    ]);
  });

  it('makes no second IKE_SA once the home agent has answered, which may have the SAs up already', async () => {
    await program(
      'swanctl',
      `echo "$*" >>"$bin/calls"
case $1 in
--load-all) echo "loaded ike secret 'ike-${NAME}-1' loaded connection '${NAME}-1'" ;;
--list-sas)
  echo >>"$bin/looks"
  if [ "$(wc -l <"$bin/looks")" -gt 100 ]; then echo 'list-sa event {${NAME}-1 ${UP}}'; else echo '${begun('96c8b3283bd0dc48')}'; fi ;;
esac`,
    );
    const { calls } = await runs('up');
    expect(calls).toHaveLength(102);
    expect(calls.filter((call) => !call.startsWith('--list-sas'))).toEqual(['--load-all --noprompt']);
  });

  it('initiates IKE itself if charon has given up, for example because the home agent had no key yet', async () => {
    await charon('', '--initiate', `list-sa event {${NAME}-1 ${UP}}`);
    const { calls } = await runs('up');
    expect(calls.filter((call) => !call.startsWith('--list-sas'))).toEqual([
      '--load-all --noprompt',
      `--initiate --child mip6 --ike ${NAME}-1 --timeout 2`,
    ]);
  });

  /** A node whose home agent has lost its SAs. */
  async function lost(): Promise<void> {
    await charon('', '--list-sas', `list-sa event {${NAME}-1 ${UP}}`);
    await runs('up');
    await rm(join(bin, 'changed'));
  }

  it('initiates IKE at once in a probe, since charon begins nothing with a connection that it has', async () => {
    await lost();
    await charon('', '--initiate', `list-sa event {${NAME}-1 ${UP}}`);
    expect((await runs('probe')).calls).toEqual([
      '--list-sas --raw',
      `--initiate --child mip6 --ike ${NAME}-1 --timeout 2`,
      '--list-sas --raw',
    ]);
  });

  it.each([
    { what: 'was restarted', initiates: true },
    { what: 'has another care-of address in its connection', initiates: false },
  ])('loads the connection in a probe if charon $what', async ({ initiates }) => {
    await lost();
    await charon('', '--load-all', `list-sa event {${NAME}-1 ${UP}}`);
    const swanctl = await readFile(join(bin, 'swanctl'), 'utf8');
    // As charon 5.9.8 answers.
    const answer = "initiate failed: CHILD_SA config 'mip6' not found";
    await writeFile(
      join(bin, 'swanctl'),
      swanctl.replace('--load-all)', `--initiate) echo "${answer}"; exit 1 ;;\n--load-all)`),
    );
    if (!initiates) await program('ip', "echo '2: eth0    inet6 2001:db8:d::11/64 scope global'");
    const { calls, output } = await runs('probe');
    expect(calls).toEqual([
      '--list-sas --raw',
      ...(initiates ? [`--initiate --child mip6 --ike ${NAME}-1 --timeout 2`] : []),
      '--load-all --noprompt',
      '--list-sas --raw',
    ]);
    expect(output).toMatch(/^IKE_SA up \d+ ms/m);
  });

  it('leaves it to refresh after a move if the home agent has the key of the next PAA already', async () => {
    await charon('', '--list-sas', `list-sa event {${NAME}-1 ${UP}}`);
    await runs('up');
    await program(
      'swanctl',
      `echo "$*" >>"$bin/calls"
case $1 in
--load-all) for n in 1 2; do echo "loaded ike secret 'ike-${NAME}-$n' loaded connection '${NAME}-$n'"; done ;;
--initiate) echo '[IKE] received AUTHENTICATION_FAILED notify error' ;;
esac`,
    );
    await program('ip', "echo '2: eth0    inet6 2001:db8:d::11/64 scope global'");
    const { calls, output } = await runs('move');
    expect(calls.filter((call) => call.startsWith('--initiate'))).toHaveLength(1);
    expect(output).toContain('the home agent has a newer key');
  });

  it('takes nothing from the identity of the other end, which need not have authenticated', async () => {
    const forged = `x state=ESTABLISHED state=INSTALLED list-sa event {${NAME}-1 ${UP} initiator-spi=1 `;
    const half = begun('0000000000000000').replace(
      'initiator=',
      `local-id=mn remote-id=${forged} remote-port=500 initiator=`,
    );
    await charon(half, '--initiate', `list-sa event {${NAME}-1 ${UP}}`);
    const { calls } = await runs('up');
    expect(calls.filter((call) => call.startsWith('--initiate'))).toHaveLength(1);
  });

  it('keeps the former connection without its secret until the SAs with a new key are up, then ends its SAs', async () => {
    await charon('', '--list-sas', `list-sa event {${NAME}-1 ${UP}}`);
    await runs('up');
    await rm(join(bin, 'changed'));
    const folder = join(state, 'swanctl/conf.d');
    await charon('', '--list-sas', `list-sa event {${NAME}-2 ${UP}}\nlist-sa event {${NAME}-1 ${UP}}`);
    const former = join(folder, 'pana-mn1@home.example.former.conf');
    const swanctl = await readFile(join(bin, 'swanctl'), 'utf8');
    await writeFile(join(bin, 'swanctl'), swanctl.replace('--load-all)', `--load-all) cp "${former}" "$bin/former";`));
    const { calls } = await runs('refresh', `0x${'ee'.repeat(64)}`);
    expect(calls).toEqual(['--load-all --noprompt', '--list-sas --raw', `--terminate --ike ${NAME}-1 --timeout 2`]);
    const kept = await readFile(join(bin, 'former'), 'utf8');
    expect(kept).toContain(`${NAME}-1 {`);
    expect(kept).not.toContain('secret');
    await expect(readFile(former)).rejects.toThrow('ENOENT');
  });
});
