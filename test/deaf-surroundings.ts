/** A UDP socket that discards everything and receives nothing. */
const SOCKET = {
  address: { address: '127.0.0.1', port: 716 },
  label: '127.0.0.1|716',
  place: '127.0.0.1 port 716',
  send: () => true,
  close: () => Promise.resolve(),
};

/** Sockets that receive nothing, connections that are never established, and no control socket. */
export const DEAF = {
  udp: {
    open: () => Promise.resolve(SOCKET),
    connect: () => Promise.resolve(SOCKET),
  },
  transport: {
    connect: () => new Promise<never>(() => undefined),
    listen: () => Promise.reject<never>(new Error('no listener in this test')),
  },
  watchNetwork: () => () => undefined,
  readAddresses: () => Promise.resolve([]),
  hasInterface: () => true,
  openControl: () => Promise.resolve(() => Promise.resolve()),
};

/** Surroundings that count what is open: control sockets, key logs and watches of the network. */
export function countedSurroundings() {
  const close = () => {
    counted.open -= 1;
    return Promise.resolve();
  };
  const counted = {
    open: 0,
    openControl: () => {
      counted.open += 1;
      return Promise.resolve(close);
    },
    openKeyLog: () => {
      counted.open += 1;
      return Promise.resolve({ write: () => undefined, writeSealing: () => undefined, close });
    },
    watchNetwork: () => {
      counted.open += 1;
      return () => void close();
    },
  };
  return counted;
}
