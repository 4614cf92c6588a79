/** What the kernel reports about its interfaces, addresses and routes. */
export type KernelEvent =
  /** `up`: the interface is enabled and has a carrier. `interface`: `#` and its index if the name is unknown. */
  | { readonly type: 'link'; readonly interface: string; readonly up: boolean }
  /** An address was added or deleted, or its flags or lifetimes were set. `flags`: as text, without lifetimes. */
  | {
      readonly type: 'address';
      readonly interface: string;
      readonly address: string;
      readonly flags: string;
      readonly deleted: boolean;
    }
  /** A default route through a router, such as one from a router advertisement. */
  | { readonly type: 'router'; readonly interface: string; readonly router: string; readonly deleted: boolean }
  /** A router advertisement with this prefix arrived. */
  | { readonly type: 'prefix'; readonly interface: string; readonly prefix: string }
  | { readonly type: 'route' };

/** Maximum length of a line that is evaluated, in characters. */
export const MAX_EVENT_LINE = 4_096;

const LINK = /^\d+: ([^\s:@]{1,64})(?:@\S{1,64})?: <([A-Z0-9_,-]*)> .*?\bstate ([A-Z]+)/;
const ADDRESS = /^\d+: (\S{1,64})\s+inet6? ([0-9a-fA-F:.]{2,45})(?:\/\d+| peer \S+)([^\\]*)/;
const ROUTER = /^default via (?:inet6? )?([0-9a-fA-F:.]{2,45}) dev (\S{1,64})/;
/** iproute2 6.1 prints no space before `dev`. */
const PREFIX = /^prefix ([0-9a-fA-F:.]{2,45}\/\d{1,3})\s*dev (\S{1,64})/;
const ROUTE =
  /^(?:[a-z]{1,12} )?(?:default|[0-9a-fA-F]{0,4}[:.][0-9a-fA-F:.]{0,45}(?:\/\d+)?|\d+[.][\d.]+(?:\/\d+)?) .*(?:\bdev|\bnexthop|\bmetric) /;

/**
 * Reads a line of `ip -oneline monitor link address prefix route` (iproute2; `-json` does not apply to `monitor` in 6.1).
 * Undefined: the line is not one of these events.
 */
export function kernelEventOf(line: string): KernelEvent | undefined {
  if (line.length > MAX_EVENT_LINE) return undefined;
  const deleted = line.startsWith('Deleted ');
  const text = deleted ? line.slice(8) : line;
  const link = LINK.exec(text);
  if (link) {
    const [, name = '', flags = '', state] = link;
    const set = flags.split(',');
    const isUp = set.includes('UP') && set.includes('LOWER_UP') && (state === 'UP' || state === 'UNKNOWN');
    return { type: 'link', interface: name, up: isUp && !deleted };
  }
  const address = ADDRESS.exec(text);
  if (address) {
    const [, name = '', own = '', flags = ''] = address;
    return { type: 'address', interface: name, address: own, flags: flags.trim(), deleted };
  }
  const router = ROUTER.exec(text);
  if (router) return { type: 'router', interface: router[2] ?? '', router: router[1] ?? '', deleted };
  const prefix = PREFIX.exec(text);
  if (prefix) return { type: 'prefix', interface: prefix[2] ?? '', prefix: prefix[1] ?? '' };
  return ROUTE.test(text) ? { type: 'route' } : undefined;
}

/** A line of FreeBSD 14 and later: `12:00:00.000 add iface iface#3 em0 admin UP oper UP mtu 1500`. */
const IFACE = /\biface#\d+ (\S{1,64}) admin (UP|DOWN)(?: oper ([A-Z]+))?/;
/** A line of earlier versions: `RTM_IFINFO: iface status change: len 168, if# 3, link: up, flags:<UP,…>`. */
const IFINFO = /\bif# (\d{1,10}), link: (up|down|unknown)/;

/**
 * Reads a line of `route -n monitor` (FreeBSD): a change of a link's state, or an unspecified change. Undefined: the
 * line is empty or too long. Not tested on FreeBSD; the formats are those of its route(8).
 */
export function routeEventOf(line: string): KernelEvent | undefined {
  if (line.length > MAX_EVENT_LINE || line.trim() === '') return undefined;
  const link = IFACE.exec(line);
  if (link) {
    const [, name = '', admin, oper = 'UP'] = link;
    return { type: 'link', interface: name, up: admin === 'UP' && (oper === 'UP' || oper === 'UNKNOWN') };
  }
  const old = IFINFO.exec(line);
  return old ? { type: 'link', interface: `#${old[1]}`, up: old[2] !== 'down' } : { type: 'route' };
}
