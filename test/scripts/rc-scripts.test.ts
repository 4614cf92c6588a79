import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { programOf } from '../../dist/lab/daemon-process.js';
import { Lab } from '../../dist/lab/lab.js';
import { eventually } from '../eventually.js';

const execute = promisify(execFile);
const SCRIPTS = fileURLToPath(new URL('../../scripts', import.meta.url));
/** That of a system that starts daemons: without the variables of these tests, of which check-config would warn. */
const ENVIRONMENT = { PATH: process.env['PATH'] };
/** Without root no other user is possible. */
const USER = userInfo().username;
let lab: Lab | undefined;

afterEach(async () => {
  // Stops what a failed test left running.
  if (lab) await execute('sh', [lab.path('pana_aaa'), 'stop']).catch(() => undefined);
  await lab?.close();
  lab = undefined;
});

/** The part of rc.subr(8) that these scripts use. */
const RC_SUBR = `
load_rc_config() { [ ! -f "@FOLDER@/rc.conf" ] || . "@FOLDER@/rc.conf"; }
check_pidfile() {
	[ -s "$1" ] || return 0
	_pid=$(cat "$1")
	case $({ tr '\\0' ' ' <"/proc/$_pid/cmdline"; } 2>/dev/null) in *"\${2##*/}"*) echo "$_pid" ;; esac
}
run_rc_command() {
	eval "_enabled=\\$$rcvar"
	_arg=$1
	for _known in start stop restart status $extra_commands; do
		[ "$_known" != "$_arg" ] || _found=yes
	done
	[ "\${_found:-}" = yes ] || { echo "unknown directive $_arg"; exit 1; }
	case $_enabled in [Yy][Ee][Ss]) ;; *) echo "$name is not enabled"; return 0 ;; esac
	eval "_own=\\\${\${_arg}_cmd:-}"
	if [ -n "$_own" ]; then
		eval "$_own"
		return
	fi
	case $_arg in
	start)
		[ -z "$(check_pidfile "$pidfile" "\${procname:-$command}")" ] || { echo "$name already running?"; return 1; }
		for _file in $required_files; do [ -r "$_file" ] || { echo "$_file is not readable."; return 1; }; done
		eval "$start_precmd" || return 1
		eval "$command $command_args"
		;;
	stop) kill -TERM "$(check_pidfile "$pidfile" "\${procname:-$command}")" ;;
	status) [ -n "$(check_pidfile "$pidfile" "\${procname:-$command}")" ] && echo "$name is running" ;;
	esac
}
`;

/**
 * The part of daemon(8) that these scripts use: supervises the program in the background, with its output in a file.
 */
const DAEMON = `#!/bin/sh
echo "$@" >"@FOLDER@/daemon.arguments"
if [ "\${SUPERVISING:-}" != yes ]; then
	SUPERVISING=yes "$0" "$@" >"@FOLDER@/log" 2>&1 </dev/null &
	exit
fi
while getopts frSR:T:u:P:p: option; do
	case $option in
	P) echo $$ >"$OPTARG" ;;
	p) child_pidfile=$OPTARG ;;
	*) ;;
	esac
done
shift $((OPTIND - 1))
"$@" &
child=$!
echo "$child" >"$child_pidfile"
trap 'kill -TERM $child; wait $child; echo ended >>"@FOLDER@/log"; exit' TERM
wait $child
`;

async function script(name: string, made: Lab): Promise<string> {
  const folder = made.path();
  const write = async (file: string, text: string) => {
    await writeFile(made.path(file), text.replaceAll('@FOLDER@', folder));
    await chmod(made.path(file), 0o755);
    return made.path(file);
  };
  const program = name.replace('pana_', '') as 'pac' | 'paa' | 'aaa';
  const start = `#!/bin/sh\nexec '${process.execPath}' '${programOf(program)}' "$@"\n`;
  await mkdir(made.path('var', 'run'), { recursive: true });
  await mkdir(made.path('var', 'db'), { recursive: true });
  return write(
    name,
    (await readFile(`${SCRIPTS}/rc.d/${name}`, 'utf8'))
      .replace('/etc/rc.subr', await write('rc.subr', RC_SUBR))
      .replace('/usr/sbin/daemon', await write('daemon', DAEMON))
      .replace(`/usr/local/bin/${name.replace('_', '-')}`, await write('program', start))
      .replaceAll('/var/', `${folder}/var/`),
  );
}

async function call(path: string, command: string): Promise<{ status: number; output: string }> {
  try {
    const { stdout, stderr } = await execute('sh', [path, command], { env: ENVIRONMENT });
    return { status: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, output: `${stdout}${stderr}` };
  }
}

/** Resolves once a file of the lab's folder contains this text. */
function holds(made: Lab, file: string, text: string): Promise<string> {
  return eventually(async () => {
    const content = await readFile(made.path(file), 'utf8').catch(() => '');
    expect(content).toContain(text);
    return content;
  });
}

describe('rc.d scripts', () => {
  it.each(['pana_aaa', 'pana_paa', 'pana_pac'])(
    '%s has the headers and variables that rcorder and rc.subr need',
    async (name) => {
      const text = await readFile(`${SCRIPTS}/rc.d/${name}`, 'utf8');
      expect((await stat(`${SCRIPTS}/rc.d/${name}`)).mode & 0o111).toBe(0o111);
      expect(text).toMatch(new RegExp(`^# PROVIDE: ${name}\n# REQUIRE: LOGIN NETWORKING\n# KEYWORD: shutdown$`, 'm'));
      expect(text).toContain(`rcvar="${name}_enable"`);
      expect(text).toContain(`: "\${${name}_enable:=NO}"`);
      expect(text.trimEnd().endsWith('run_rc_command "$1"')).toBe(true);
      // load_rc_config comes after name and rcvar, defaults come after it.
      const order = ['name=', 'rcvar=', 'load_rc_config', '_enable:=NO', 'command=', 'run_rc_command'];
      const places = order.map((word) => text.indexOf(`\n${word.startsWith('_') ? `: "\${${name}` : ''}${word}`));
      expect(places).toEqual([...places].sort((a, b) => a - b));
      expect(places[0]).toBeGreaterThan(0);
      for (const shell of ['sh', 'bash']) await execute(shell, ['-n', `${SCRIPTS}/rc.d/${name}`]);
    },
  );

  it('start, reload and stop a daemon, and refuse an invalid configuration', async () => {
    const made = await Lab.make();
    lab = made;
    await (await made.startAaa()).daemon.stop();
    const aaa = await script('pana_aaa', made);
    const config = made.path('aaa.yaml');
    await writeFile(made.path('rc.conf'), `pana_aaa_config=${config}\npana_aaa_runas=${USER}\n`);
    expect(await call(aaa, 'start')).toEqual({ status: 0, output: 'pana_aaa is not enabled\n' });
    await writeFile(made.path('rc.conf'), `pana_aaa_enable=YES\npana_aaa_config=${config}\npana_aaa_runas=${USER}\n`);

    const good = await readFile(config, 'utf8');
    await writeFile(config, good.replace('realm:', 'relam:'));
    const refused = await call(aaa, 'start');
    expect(refused.output).toContain('diameter.relam: unknown key');
    expect(refused.status).toBe(1);
    await writeFile(config, good);

    expect(await call(aaa, 'start')).toEqual({ status: 0, output: 'The configuration is valid.\n' });
    await holds(made, 'log', 'info: ready');
    expect(await readFile(made.path('daemon.arguments'), 'utf8')).toContain(
      `-f -r -R 5 -S -T pana-aaa -u ${USER} -P ${made.path('var/run/pana_aaa.pid')}`,
    );
    expect((await stat(made.path('var/db/pana-aaa'))).mode & 0o777).toBe(0o700);
    expect((await call(aaa, 'status')).output).toBe('pana_aaa is running\n');
    expect((await call(aaa, 'start')).output).toContain('already running?');

    expect(await call(aaa, 'reload')).toEqual({ status: 0, output: 'The configuration is valid.\n' });
    await holds(made, 'log', 'info: configuration reloaded');
    await writeFile(config, good.replace('realm:', 'realms:'));
    expect((await call(aaa, 'reload')).status).not.toBe(0);
    expect((await call(aaa, 'configtest')).status).not.toBe(0);
    await writeFile(config, good);

    expect(await call(aaa, 'stop')).toEqual({ status: 0, output: '' });
    const log = await holds(made, 'log', 'ended');
    expect(log).toMatch(/info: stopped\nended\n$/);
    expect(log.match(/info: configuration reloaded/g)).toHaveLength(1);
    expect((await call(aaa, 'reload')).output).toBe('pana_aaa is not running?\n');
    expect((await call(aaa, 'nonsense')).output).toContain('unknown directive');
  });
});
