import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmod,
  chown,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Script } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const execute = promisify(execFile);
const PROJECT = fileURLToPath(new URL('..', import.meta.url));
const BUNDLE = join(PROJECT, 'dist/bundle');

let folder: string;

interface Ran {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

/** Runs a file with the environment given and nothing else. */
async function run(file: string, words: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  const options = { env: { ...environment }, cwd: '/' };
  return execute(process.execPath, [file, ...words], options).then(
    ({ stdout, stderr }) => ({ status: 0, output: stdout, errors: stderr }),
    ({ code, stdout, stderr }) => ({ status: Number(code), output: String(stdout), errors: String(stderr) }),
  );
}

/** A copy of the bundle, as it is installed. */
async function installed(): Promise<string> {
  const root = await mkdtemp(join(folder, 'copy-'));
  await cp(BUNDLE, join(root, 'dist/bundle'), { recursive: true });
  await copyFile(join(PROJECT, 'package.json'), join(root, 'package.json'));
  return join(root, 'dist/bundle');
}

/** Path of a module that prints, at the end, what V8 said of the compiled code of each chunk. */
async function observer(): Promise<string> {
  const path = join(folder, 'observer.cjs');
  await writeFile(
    path,
    `const vm = require('node:vm');
const seen = { taken: 0, refused: 0, absent: 0 };
vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    seen[options.cachedData === undefined ? 'absent' : this.cachedDataRejected ? 'refused' : 'taken'] += 1;
  }
};
process.on('exit', () => process.stderr.write(JSON.stringify(seen) + '\\n'));
`,
  );
  return path;
}

const NO_DAEMON =
  'pana-pac: no daemon runs with the control socket /nowhere/pac.sock: start it, or give --control.socket\n';
const STATUS = ['status', '--control.socket', '/nowhere/pac.sock'];

beforeAll(async () => {
  const main = await readFile(join(PROJECT, 'dist/pac/main.js'), 'utf8');
  if (!main.includes('loader.cjs')) throw new Error('the programs are not bundled: npm run build');
  folder = await mkdtemp(join(tmpdir(), 'pana-bundle-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('A bundled program', () => {
  it.each(['pana-aaa', 'pana-paa', 'pana-pac', 'pana-pre', 'pana-mip6'])(
    '%s prints the help that it would render',
    async (name) => {
      const file = join(BUNDLE, `${name}.cjs`);
      const rendered = await run(file, ['--help', '--help']);
      expect(rendered.output).toContain('Commands:');
      for (const word of ['--help', '-h']) expect(await run(file, [word])).toEqual(rendered);
      expect(await run(file, ['--version'])).toEqual(await run(file, ['--version', '--version']));
    },
  );

  it('contains only the parts of packages that are used', async () => {
    const chunks = join(BUNDLE, 'chunks');
    const maps = (await readdir(chunks)).filter((file) => file.endsWith('.map'));
    const sources = await Promise.all(
      maps.map(
        async (file) => (JSON.parse(await readFile(join(chunks, file), 'utf8')) as { sources: string[] }).sources,
      ),
    );
    const partly =
      /zod\/v4\/(?:locales\/|classic\/coerce).*|prom-client\/lib\/(?:cluster|pushgateway)\.js|opentelemetry\/api\/.*/;
    const found = sources.flat().flatMap((source) => partly.exec(source)?.[0] ?? []);
    expect(found.sort()).toEqual(['opentelemetry/api/dist/index.cjs', 'zod/v4/locales/en.js']);
  });

  it('translates the help as before', async () => {
    const { output } = await run(join(BUNDLE, 'pana-pac.cjs'), ['--help'], { LC_ALL: 'de_DE.UTF-8' });
    expect(output).toContain('Kommandos:');
  });

  it('does not fail if the reader of its help closes the pipe', async () => {
    const command = `"$0" "$1" --help | head -n 1`;
    const { stdout, stderr } = await execute('sh', ['-c', command, process.execPath, join(BUNDLE, 'pana-pac.cjs')]);
    expect([stdout, stderr]).toEqual(['pana-pac <command>\n', '']);
  });

  it('names the module, line and function in a stack trace', async () => {
    const saboteur = join(folder, 'saboteur.cjs');
    await writeFile(saboteur, `require('node:http').request = () => { throw new TypeError('no request'); };\n`);
    const { errors } = await run(join(BUNDLE, 'pana-pac.cjs'), STATUS, { NODE_OPTIONS: `--require ${saboteur}` });
    expect(errors).toMatch(/^TypeError: no request\n/);
    const [, file = '', line] = /(\/\S+control\.js):(\d+):\d+/.exec(errors) ?? [];
    expect(file).toBe(join(PROJECT, 'dist/runtime/service/control.js'));
    const lines = (await readFile(file, 'utf8')).split('\n');
    expect(lines[Number(line) - 1]).toContain(' request(');
    // Not only the first frame.
    expect(errors.split('\n').filter((frame) => frame.includes('dist/runtime/')).length).toBeGreaterThan(1);
    expect(errors).not.toContain('dist/bundle/');
  });
});

describe('Compiled code', () => {
  it('is taken for each chunk', async () => {
    const options = { NODE_OPTIONS: `--require ${await observer()}` };
    const { errors } = await run(join(BUNDLE, 'pana-pac.cjs'), STATUS, options);
    const { taken, ...others } = JSON.parse(errors.slice(NO_DAEMON.length)) as Record<string, number>;
    expect(taken).toBeGreaterThan(10);
    expect(others).toEqual({ refused: 0, absent: 0 });
  });

  it('is not needed, and is made again', async () => {
    const bundle = await installed();
    const names = (await readdir(join(bundle, 'chunks'))).filter((name) => name.endsWith('.cache'));
    for (const name of names) await rm(join(bundle, 'chunks', name));
    const program = join(bundle, 'pana-pac.cjs');
    expect(await run(program, STATUS)).toEqual({ status: 2, output: '', errors: NO_DAEMON });
    expect(await run(join(bundle, 'make-cache.cjs'), [])).toEqual({ status: 0, output: '', errors: '' });
    expect((await readdir(join(bundle, 'chunks'))).filter((name) => name.endsWith('.cache'))).toEqual(names);
    expect(await run(program, STATUS)).toEqual({ status: 2, output: '', errors: NO_DAEMON });
  });

  it('is not left half-made on a full disk, and the programs work', async () => {
    const bundle = await installed();
    const full = join(folder, 'full.cjs');
    const failing = `if (++n > 3) { write(file, data.subarray(0, 100)); throw new Error('ENOSPC: no space left on device, write'); }`;
    await writeFile(
      full,
      `const fs = require('node:fs'); let n = 0; const write = fs.writeFileSync;
      fs.writeFileSync = (file, data, options) => { ${failing} return write(file, data, options); };`,
    );
    const chunks = join(bundle, 'chunks');
    expect(await run(join(bundle, 'make-cache.cjs'), [], { NODE_OPTIONS: `--require ${full}` })).toEqual({
      status: 1,
      output: '',
      errors: `cannot store compiled code in ${chunks}: ENOSPC: no space left on device, write; programs start more slowly without it\n`,
    });
    expect((await readdir(chunks)).filter((name) => name.includes('.cache'))).toEqual([]);
    expect(await run(join(bundle, 'pana-pac.cjs'), STATUS)).toEqual({ status: 2, output: '', errors: NO_DAEMON });
  });

  it('is ignored if Node.js runs with other options, or if it is damaged', async () => {
    const bundle = await installed();
    const program = join(bundle, 'pana-pac.cjs');
    const options = { NODE_OPTIONS: `--require ${await observer()}` };
    const other = await execute(process.execPath, ['--no-opt', program, ...STATUS], { env: options }).catch((e) => e);
    expect(other.stderr).toMatch(/^pana-pac: no daemon runs.*\n\{"taken":0,"refused":\d+,"absent":0\}\n$/);
    const names = (await readdir(join(bundle, 'chunks'))).filter((name) => name.endsWith('.cache'));
    for (const [index, name] of names.entries()) {
      const path = join(bundle, 'chunks', name);
      if (index % 3 === 0) await truncate(path, 0);
      if (index % 3 === 1) await truncate(path, 200);
      if (index % 3 === 2) {
        const octets = await readFile(path);
        const middle = octets.length >> 1;
        octets.writeUInt8(octets.readUInt8(middle) ^ 0x10, middle);
        await writeFile(path, octets);
      }
    }
    const damaged = await run(program, STATUS, options);
    expect(damaged.errors).toMatch(/^pana-pac: no daemon runs.*\n\{"taken":0,"refused":0,"absent":\d+\}\n$/);
  });

  // V8 does not compare the code with the source: only the length of the source must be the same.
  const FORGED = 'forged';
  it.each([
    ['of its owner', 0o644, FORGED],
    ['that its group can write', 0o664, ''],
    ['that everybody can write', 0o646, ''],
    ['behind a symbolic link', 0o644, ''],
    ['of another user', 0o644, ''],
  ])('%s', async (which, mode, output) => {
    if (which === 'of another user' && process.getuid?.() !== 0) return;
    const bundle = await installed();
    const [name = ''] = (await readdir(join(bundle, 'chunks'))).filter((file) => /^pac-main-.*\.cjs$/.test(file));
    const source = `(function(exports,require,module,moduleUrl){${await readFile(join(bundle, 'chunks', name), 'utf8')}\n})`;
    const forgery = `(function(){process.stdout.write('${FORGED}');})`.padEnd(source.length);
    const cache = join(bundle, 'chunks', `${name}.cache`);
    const code = new Script(forgery).createCachedData();
    await writeFile(cache, Buffer.concat([createHash('sha256').update(code).digest(), code]));
    await chmod(cache, mode);
    if (which === 'of another user') await chown(cache, 65534, 65534);
    if (which === 'behind a symbolic link') {
      await mkdir(join(bundle, 'elsewhere'));
      await copyFile(cache, join(bundle, 'elsewhere/code'));
      await rm(cache);
      await symlink('elsewhere/code', cache);
    }
    const ran = await run(join(bundle, 'pana-pac.cjs'), STATUS);
    expect(ran.output).toBe(output);
    expect(ran.errors).toBe(output === FORGED ? '' : NO_DAEMON);
  });
});
