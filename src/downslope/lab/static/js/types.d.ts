/** The replies of the lab as its pages read them, and the shapes that modules share. Types only; no page loads this file. */

/** A scale of an axis. */
export type Scale = d3.ScaleLinear<number, number> | d3.ScaleLogarithmic<number, number>;
/** A scale of an axis of bands, one for each index. */
export type BandScale = d3.ScaleBand<number>;
/** A position in pixels, across and down; NaN where there is none. */
export type Point = [number, number];
/** The ends of a range. */
export type Range = [number, number];
/** A number, or null for what is not finite. */
export type Value = number | null;
/** A colour scheme; null follows the system. */
export type Theme = "light" | "dark" | null;

/** How a change of the state came about. */
export interface Change {
  /** Make a new entry of the history. */
  push?: boolean;
  /** Notify no listener. */
  quiet?: boolean;
  /** Fit the box to the path. */
  fit?: boolean;
  /** A person is typing. */
  typing?: boolean;
  /** The history was walked. */
  back?: boolean;
  /** Train the network anew. */
  train?: boolean;
  /** Go on with the weights that it has. */
  resume?: boolean;
}

/** For each key of a state its default and the reader of its text. */
export type Schema<State> = { [Key in keyof State]: { usual: State[Key]; reader: (text: string) => State[Key] | null; always?: boolean } };

/** What went wrong, in words. */
export interface Trouble {
  message: string;
  kind?: string;
  hint?: string | null;
  position?: number | null;
  width?: number;
}

/** The values that listeners of each event of a page are called with. */
export interface Events {
  reading: [reading: Reading];
  wrong: [error: Trouble];
  descent: [];
  steps: [];
  grid: [];
  rates: [];
  row: [];
  start: [];
  stale: [what: "reading" | "answer" | "data" | "steps" | ""];
  trouble: [verb: string, error: Trouble | null];
  state: [changed: Set<string>, how: Change];
  data: [];
  busy: [busy: boolean];
  head: [head: TrainingHead];
  moment: [];
  end: [end: TrainingEnd];
  training: [isTraining: boolean];
  table: [table: TablePreview & { target: string } | null];
  list: [];
  shown: [run: SavedRun];
  compared: [comparison: Comparison | null];
}

/** How a formula was read. */
export interface Reading {
  name: string;
  read_as: string;
  variables: string[];
  notes: string[];
}
export interface FormulaReading extends Reading {
  start: Record<string, number>;
}
export interface EquationReading extends Reading {
  parameters: string[];
}

export interface Finding {
  symptom: string | null;
  severity: string;
  sentence: string;
  evidence: [name: string, value: string][];
}
export interface Verdict {
  ok: boolean;
  symptom: string | null;
  sentence: string;
  findings: Finding[];
}
/** A verdict with the sentence of how the run ended. */
export interface Judged {
  verdict: Verdict;
  outcome: string;
}
/** The same without the page. */
export interface Written {
  python: string;
  command: string | null;
}

/** The path of a descent: for each variable and for the value a column by row. */
export interface PathReply {
  path: Record<string, Value[]>;
  values: Value[];
  gradients?: Record<string, Value[]>;
  tangents?: { slope: Value[] } | null;
  name?: string;
}
/** What can be played step by step. */
export interface Steps {
  steps: number[];
  steps_taken: number;
}
/** The values by step. */
export interface ValuesByStep extends Steps {
  values: Value[];
  value_text: string;
  first_text: string;
}
export interface DescentReply extends ValuesByStep, PathReply, Judged, Written {
  /** Where the request has no start. */
  reading: FormulaReading | null;
  name: string;
  read_as: string;
  over: string[];
  box: Record<string, Range>;
  rate: Value;
  end: Record<string, Value>;
  /** Where the request wants it and the formula has one. */
  grid: Grid | null;
}
export interface StepTable {
  steps: number[];
  headings: string[];
  cells: string[][];
  lines?: string[][];
}
/**
 * An objective in a box: a curve over one variable, or bands and lines over two. The points of bands and lines are counted in cells of
 * the box, so many along each axis: across, up, across, up, ….
 */
export interface Grid {
  over: string[];
  box: Record<string, Range>;
  curve: Record<string, Value[]>;
  f_range: Range;
  bands: { level: number; shade: number; polygons: number[][][] }[];
  lines: { level: number; lines: number[][] }[];
  cells: number;
  /** Where the request wants them. */
  heights?: Heights | null;
  /** Whether a unit is to be as long along both axes, in a picture of any shape. */
  has_equal_units?: boolean;
}
/**
 * Heights on a square mesh, row by row from below: whole numbers from 0 at `low` to `steps` at `high`, one more where it is higher,
 * −1 where there is none.
 */
export interface Heights {
  low: number;
  high: number;
  steps: number;
  side: number;
  values: number[];
}
export interface Rates {
  stable: Range | null;
  best: Value;
  slider: Range | null;
  curve: { rates: number[]; values: Value[] } | null;
  text: string;
}
export interface MethodChoice {
  name: string;
  takes_rate: boolean;
  /** Whether a race has it where none are chosen. */
  in_races?: boolean;
}
export interface Derivation {
  by: string;
  derivative: string;
  steps: { rule: string; from: string; to: string; text: string; law: string }[];
}
export interface Example {
  title: string;
  what: string;
  formula: string;
  start: Record<string, number>;
  rate: number | null;
  method: string;
  steps: number;
  view: number[] | null;
}
export interface Lane extends PathReply {
  method: string;
  steps: number[];
  value_text: string;
  verdict_sentence: string;
}
export interface Race extends Written {
  grid: Grid;
  lanes: Lane[];
  winner: string;
  sentence: string;
  rows: { headings: string[]; cells: string[][] };
}

export interface TablePreview {
  rows: number;
  /** Where these are a sample: how many there are. */
  all_rows: number | null;
  /** Of all columns. */
  headings: string[];
  /** The first rows of the first columns. */
  cells: string[][];
}
/** How a file was read: in a line, and what was decided. The format is empty where there was nothing to decide. */
export interface FileReading {
  line: string;
  format: string;
  separator: string | null;
  decimal: string | null;
  names: number | null;
  sheet: string | null;
  sheets: string[];
}
export interface Columns extends TablePreview {
  read: FileReading;
  notes: string[];
  name: string;
  numbers: string[];
  x: string;
  y: string;
  /** Some of the rows, for a picture before there is a fit. */
  points: { x: number[]; y: number[] };
  proposals: { title: string; formula: string }[];
}
export interface Band {
  what: string;
  low: Value[];
  high: Value[];
}
export interface FitReply extends ValuesByStep, PathReply, Judged, Written {
  read_as: string;
  equations: string[];
  notes: string[];
  parameters: { headings: string[]; cells: string[][] };
  summary: [label: string, text: string][];
  ends: Record<string, number>;
  free: string[];
  table: StepTable;
  data: { along: string; up: string; x: Value[][]; y: number[]; rows: number };
  curve: { x: number[]; moments: Value[][]; bands: Band[] } | null;
  residuals: Value[][];
}
/** A file of numbers. */
export interface TextFile {
  name: string;
  text: string;
}

export interface LayerStatistics {
  names?: string[];
  gradient_norm: Value[];
  activation_mean: Value[];
  activation_deviation: Value[];
  dead_share: Value[];
  saturated_share: Value[];
}
/** A run whose layers are shown: what stays, and its moments. */
export interface LayeredRun {
  head: { layers: string[] };
  moments: { layers: LayerStatistics | null }[];
}
export interface TrainingHead {
  kind: "plane" | "line" | "agreement" | "confusion";
  classes: string[];
  target: string;
  features: string[];
  over: string[];
  examples: number;
  held: boolean[];
  rows: number[];
  x: number[];
  y: number[];
  class: number[];
  box: [Range, Range];
  has_equal_units?: boolean;
  /** The range of the data along each axis, which a picture of any shape shows. */
  least?: [Range, Range];
  notes: string[];
  read_as: string;
  parameters: number;
  layers: string[];
  metric: string;
  of: number;
  no_graph: string | null;
  /** Of the machine, among which a batch can be divided. */
  devices: number;
}
export interface TrainingPicture {
  cells?: number[];
  curve?: { x: number[]; y: Value[] };
  true?: number[];
  predicted?: Value[];
  confusion?: number[][];
  /** The predicted number over two features. */
  heights?: Heights | null;
}
/** What the units of each layer put out over two features: numbers from −100 to 100, in shares of the largest. */
export interface UnitPictures {
  side: number;
  over: string[];
  layers: { largest: number; cells: number[] }[][];
}
export interface TrainingMoment {
  step: number;
  metrics: Record<string, Value>;
  picture: TrainingPicture;
  layers: LayerStatistics | null;
  verdict: Verdict | null;
  weights: number[] | null;
}
export interface TrainingEnd extends Judged, Written {
  metrics: [name: string, value: string][];
  csv: string;
}
export interface TrainingRun extends LayeredRun {
  /** The rate of the last stage. */
  rate: number | null;
  head: TrainingHead;
  /** The shapes that its pictures fill. */
  ratios?: number[];
  moments: TrainingMoment[];
  end: TrainingEnd | null;
}
export type TrainingPiece = { head: TrainingHead; end?: undefined } | { end: TrainingEnd; head?: undefined } | (TrainingMoment & { head?: undefined; end?: undefined });
export interface NetworkSettings {
  hidden: number[];
  skip: boolean;
  batch: number | null;
  [choice: string]: unknown;
}
export interface GraphLayer {
  name: string;
  activation: string;
  after: Value[];
  gradient: Value[];
  weights: Value[][];
  weight_gradients: Value[][];
}
export interface GraphStage {
  way: "forward" | "loss" | "backward";
  layer: number;
  title: string;
  text: string;
}
export interface NetworkGraph {
  inputs: { name: string; value: Value; gradient: Value }[];
  layers: GraphLayer[];
  loss: string;
  stages: GraphStage[];
}
export interface Trial {
  mark: string;
  helped: boolean;
  name: string;
  why: string;
  score: string;
  effect: string;
  mean: Value;
  low: Value;
  high: Value;
  moved: string;
}
export interface Prescription {
  doing?: undefined;
  verdict: string;
  reason: string;
  heading: string;
  effect_heading: string;
  trials: Trial[];
  tried: { name: string; score: Value }[];
  cost: string | null;
  keep: NetworkSettings | null;
  python: string | null;
}
export interface PrescriptionProgress {
  doing: string;
  done?: number;
  most?: number;
}

export interface Chart {
  title: string;
  lines: { name: string; x: number[]; y: Value[] }[];
}
export interface ListedRun {
  name: string;
  what: string;
  state: string;
  method: string;
  changed: string;
}
export interface SavedRun extends ListedRun, Written {
  outcome: string;
  verdict: Verdict | null;
  last: number | null;
  charts: Chart[];
  layers: LayerStatistics & { names: string[] } | null;
  landscape: PathReply & { grid: Grid } | null;
  plan: [label: string, text: string][];
}
export interface Comparison {
  names: string[];
  charts: Chart[];
  rows: string[][];
  same: string[][];
  python: string;
}

/** What the page within a notebook says to the page around it. */
export type FromFrame =
  | { kind: "ask"; number: number; path: string; body: string | null; visitor: string }
  | { kind: "stop"; number: number }
  | { kind: "height"; height: number };
/** What it hears. */
export type ToFrame =
  | { kind: "reply"; number: number; status: number; body: string; isPiece: boolean }
  | { kind: "theme"; theme: "light" | "dark" };
/** What the kernel says to the views of a widget. */
export type FromKernel =
  | { kind: "page"; view: string; page: string }
  | { kind: "reply"; view: string; number: number; status: number; body: string; is_piece: boolean };
/** The model of a widget, as far as the lab needs it. */
export interface NotebookModel {
  get(name: "height"): number | null;
  on(name: "msg:custom", listener: (message: FromKernel) => void): void;
  off(name: "msg:custom", listener: (message: FromKernel) => void): void;
  send(message: object): void;
}
