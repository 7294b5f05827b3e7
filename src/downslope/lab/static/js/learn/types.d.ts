/** The shapes of lessons, texts and figures. Types only; no page loads this file. */

/** Requests of a figure: `request` with every combination of the values in `vary`. */
export interface Ask {
  verb: string;
  request: Record<string, any>;
  vary?: Record<string, any[]>;
}
/** A function that a figure shows. A start or a box that is null is chosen by the verb. */
export interface Example {
  id?: string;
  formula: string;
  start: Record<string, number> | null;
  box: Record<string, [number, number]> | null;
  /** What else its figure needs. */
  [field: string]: any;
}
/** A number of the article as it is right, and as the article has it where it gives one. */
export interface Fact {
  value: number;
  article?: string;
}
/** What does not depend on the language; `lessons.json` has a list of these. Further fields are the figure's. */
export interface Lesson extends Example {
  id: string;
  figure: string;
  others?: Example[];
  asks: Ask[];
  facts: Record<string, Fact>;
  links: { id: string; href: string }[];
  python: string;
}
/** The words of a chapter, by the ids of `lessons.json` and by the names that its figure uses. */
export interface ChapterTexts {
  title: string;
  /** The title among those of the other chapters. */
  short: string;
  text: string[];
  question: string;
  hint: string;
  right: string;
  own: string;
  numbers: { what: string; fact: string }[];
  links: Record<string, string>;
  [name: string]: any;
}
export interface Texts {
  language: string;
  page: Record<string, string>;
  chapters: Record<string, ChapterTexts>;
  /** The messages of the lab in this language, by the English ones with gaps; {code} stays as it is, {phrase} is one of those that begin with "… ". */
  messages: Record<string, string>;
}
/** What was recorded into a page that is a single file. */
export interface Recording {
  lessons: { chapters: Lesson[] };
  texts: Record<string, Texts>;
  replies: [verb: string, request: Record<string, any>, reply: any][];
}
/** Request a verb, as `ask` of api.js; `isLive` is false where only recorded requests are answered. */
export interface Asking {
  (verb: string, request: Record<string, any>): Promise<any>;
  isLive: boolean;
}
/** The values that a sentence has room for: {x}, {slope}. Numbers are written as the language does. */
export type Values = Record<string, string | number>;

/** What a figure gets from its page. */
export interface Tools {
  lesson: Lesson;
  /** Return a sentence of the chapter, filled. */
  word(key: string, values?: Values): string;
  /** Return a number as the language writes it, to so many significant digits (4). */
  number(value: number | null, digits?: number): string;
  /** Return a message of the lab in the language of the page where it is known in it, and the language that it is in. */
  message(message: string): { text: string; lang: string };
  /** Request a verb; while it is answered, the figure pales. */
  ask: Asking;
  /** Let a screen reader say a sentence, once it has not changed for a moment. */
  say(sentence: string): void;
  /** The positions that the address keeps, by name; `write` keeps others. */
  read(): Record<string, number>;
  write(positions: Record<string, number>): void;
  /** Tell the page that the walk, its index or the formula changed. */
  changed(): void;
  /** Show why a function cannot be shown, or clear it with null. */
  trouble(error: unknown): void;
  /** Whether motion is unwelcome. */
  isCalm(): boolean;
}
/** What is played, stepped and slid through below a figure. */
export interface Walk {
  readonly count: number;
  readonly index: number;
  go(index: number): void;
  /** The name of the position, for the slider. */
  name(index: number): string;
}
/** An answer as it was checked: the key of a sentence of the chapter, and what fills it. */
export interface Answer {
  right: boolean;
  key: string;
  values?: Values;
}
/** A live figure. `figure(host, tools)` of `figures/NAME.js` draws it into its host. */
export interface Figure {
  /** Show another function: one of `others`, the lesson's own again, or one that a person typed. Rejects if it cannot. */
  show(example: Example): Promise<void>;
  /** Check the answer that was placed on the figure, once what was asked has come; null where nothing came. */
  check(): Promise<Answer | null>;
  /** Go back to the beginning, with no answer placed. */
  reset(): void;
  /** Stop what moves; the host is emptied afterwards. */
  stop(): void;
  walk: Walk | null;
}
export type FigureMaker = (host: HTMLElement, tools: Tools) => Figure;
