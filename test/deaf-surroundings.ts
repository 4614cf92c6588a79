/** A socket that loses whatever is sent. */
const SOCKET = {
  address: { address: '127.0.0.1', port: 716 },
  label: '127.0.0.1|716',
  place: '127.0.0.1 port 716',
  send: () => true,
  close: () => Promise.resolve(),
};

/** Sockets from which nothing comes, connections that are never made, and no operator. */
export const DEAF = {
  udp: {
    open: () => Promise.resolve(SOCKET),
    connect: () => Promise.resolve(SOCKET),
  },
  transport: {
    connect: () => new Promise<never>(() => undefined),
    listen: () => Promise.reject<never>(new Error('nobody listens here')),
  },
  watchAddresses: () => () => undefined,
  openControl: () => Promise.resolve(() => Promise.resolve()),
};
