/** The part of a terminal that a screen needs. */
export interface Terminal {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
}

/** The other screen of the terminal, without a cursor; long lines are cut off. And back. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

/** Size of a terminal that does not tell its own, or tells 0. */
const ROWS = 24;
const COLUMNS = 80;

/**
 * Draws frames on a terminal in place: each in one write, over the one before, without clearing the screen, so that nothing
 * flickers. The lines must be escaped already (`visible`).
 */
export class Screen {
  readonly #terminal: Terminal;
  #last = '';
  #isOn = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  get rows(): number {
    return this.#terminal.rows || ROWS;
  }

  get columns(): number {
    return this.#terminal.columns || COLUMNS;
  }

  enter(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#last = '';
    this.#terminal.write(ENTER);
  }

  /** Restores the terminal. */
  leave(): void {
    if (!this.#isOn) return;
    this.#isOn = false;
    this.#terminal.write(LEAVE);
  }

  /** Draws the lines that fit. Does nothing if the same frame is there. */
  draw(lines: readonly string[]): void {
    if (!this.#isOn) return;
    const shown = lines.slice(0, this.rows).map((line) => `${line}\x1b[K`);
    const frame = `\x1b[H${shown.join('\r\n')}\x1b[J`;
    if (frame === this.#last) return;
    this.#last = frame;
    this.#terminal.write(frame);
  }
}
