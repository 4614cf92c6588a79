import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

/**
 * The receiving end of sd_notify(3), in Python because Node has no UNIX datagram sockets. systemd-notify sends a
 * descriptor that must be closed when the message has been read (BARRIER=1).
 */
const RECEIVER = `
import array, json, os, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print(json.dumps([]), flush=True)
while True:
    data, ancillary, flags, address = receiver.recvmsg(4096, socket.CMSG_SPACE(64))
    print(json.dumps(data.decode().split("\\n")), flush=True)
    for level, kind, octets in ancillary:
        descriptors = array.array("i")
        descriptors.frombytes(octets)
        for descriptor in descriptors:
            os.close(descriptor)
`;

/** Records the notifications of a daemon to its service manager. */
export class NotifySocket {
  readonly path: string;
  /** The assignments of each message, without barriers. */
  readonly messages: (readonly string[])[] = [];
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  #heard: () => void = () => undefined;

  private constructor(path: string, child: ChildProcess, lines: Interface) {
    this.path = path;
    this.#child = child;
    this.#lines = lines;
  }

  static async open(path: string): Promise<NotifySocket> {
    const child = spawn('python3', ['-c', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const socket = new NotifySocket(path, child, createInterface({ input: child.stdout }));
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status) => reject(new Error(`the receiver exited with status ${status}`)));
      socket.#lines.on('line', (line) => {
        const message = (JSON.parse(line) as string[]).filter((assignment) => assignment !== '');
        if (message.length === 0) resolve();
        else if (!message.includes('BARRIER=1')) socket.messages.push(message);
        socket.#heard();
      });
    });
    return socket;
  }

  /** Waits for a message with a matching assignment, from index `from` on; resolves to its index. */
  async message(pattern: RegExp, from = 0): Promise<number> {
    for (;;) {
      const found = this.messages.findIndex((all, i) => i >= from && all.some((one) => pattern.test(one)));
      if (found >= 0) return found;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  close(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill();
  }
}
