import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const TOOL = fileURLToPath(new URL('../../dist/tool/main.js', import.meta.url));

/** Runs the lab in user-mode Linux; resolves with its exit status and error output. */
function lab(path: string, ...flags: readonly string[]): Promise<{ readonly status: unknown; readonly said: string }> {
  return new Promise((resolve) => {
    const parameters = [TOOL, 'lab', '--kernel', 'uml', ...flags];
    execFile(process.execPath, parameters, { env: { PATH: path } }, (error, _output, said) => {
      resolve({ status: error?.code ?? 0, said });
    });
  });
}

describe('pana-mip6 lab --kernel uml', () => {
  it('names the package that is missing', async () => {
    const { status, said } = await lab('/nonexistent');
    expect(status).toBe(2);
    expect(said).toBe('pana-mip6: the program "linux.uml" is missing: install user-mode-linux\n');
  });

  it('refuses --wait', async () => {
    const { status, said } = await lab('/nonexistent', '--wait');
    expect(status).toBe(2);
    expect(said).toContain('--wait: no other terminal can reach the hosts of --kernel uml');
  });
});
