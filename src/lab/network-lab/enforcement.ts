import { hasProgram, type NetworkHost } from './hosts.js';

/** How the access router of the lab controls access. */
export interface Enforcement {
  /** The enforcement point's hook. */
  readonly hook: 'ep-nft.sh' | 'ep-ip6tables.sh' | 'ep-list.sh';
  /** The hook's settings, in the form of hooks.conf. */
  readonly settings: string;
  /** The command that shows its rules. */
  readonly show: string;
  /** Why nothing is filtered; undefined: the hook filters packets. */
  readonly why: string | undefined;
}

/** Programs of iptables for IPv6; the legacy one needs no nf_tables. */
const IP6TABLES = ['ip6tables', 'ip6tables-legacy'];

/** Returns the first hook that the kernel supports: with nf_tables, with ip6tables, or a list of clients only. */
export async function enforcementOn(router: NetworkHost): Promise<Enforcement> {
  const works = (...command: readonly string[]) =>
    router.exec(...command).then(
      () => true,
      () => false,
    );
  // Listing succeeds also without nf_tables.
  if (hasProgram('nft') && (await works('nft', '--check', 'add table inet pana_lab'))) {
    return { hook: 'ep-nft.sh', settings: '', show: 'nft list table inet pana_ep', why: undefined };
  }
  for (const program of IP6TABLES) {
    if (!hasProgram(program) || !(await works(program, '-w', '-N', 'pana_lab'))) continue;
    await works(program, '-w', '-X', 'pana_lab');
    // The lab forwards no IPv4.
    const settings = `IP6TABLES=${program}\nIPTABLES=none\n`;
    return { hook: 'ep-ip6tables.sh', settings, show: `${program} -S`, why: undefined };
  }
  const why = hasProgram('nft') ? 'this kernel has no nf_tables' : 'nftables is not installed';
  return { hook: 'ep-list.sh', settings: '', show: 'true', why };
}
