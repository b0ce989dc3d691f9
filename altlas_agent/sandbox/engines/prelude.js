// What a JavaScript program finds in QuickJS, made to look like node; the rest of the body begun by inspect.js.
// `write(stream, text, isEscaped)` and `leave(why)` are the host's; no program can reach them, nor an object of theirs.
// `leave` ends the process: node runs the program then. So does whatever would show that this is not node.

const MAIN_FILE = "/tmp/program.js";
const RETURN = "SyntaxError: return not in a function";
const { defineProperties, getOwnPropertyNames } = Object;
const { parse } = JSON;
const { isSafeInteger } = Number;
const world = globalThis;
const { isNaN } = world;
const wellFormed = String.prototype.toWellFormed;
const sortNatively = Array.prototype.sort;
const stackOf = getOwnPropertyDescriptor(Error.prototype, "stack").get;
const raise = Math.pow;
const IteratorPrototype = Iterator.prototype;
const evaluate = eval;
const SyntaxErrorPrototype = SyntaxError.prototype;

const SHARED = [
  "Object", "Array", "Number", "parseFloat", "parseInt", "Infinity", "NaN", "undefined", "Boolean", "String",
  "Symbol", "RegExp", "Error", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError",
  "JSON", "Math", "BigInt", "Map", "Set", "WeakMap", "WeakSet", "Reflect", "decodeURI", "decodeURIComponent",
  "encodeURI", "encodeURIComponent", "escape", "unescape", "isFinite", "isNaN",
];
const ONLY_IN_NODE = [
  "global", "Buffer", "setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval", "clearImmediate",
  "structuredClone", "URL", "URLSearchParams", "AbortController", "AbortSignal", "Event", "EventTarget",
  "TextEncoder", "TextDecoder", "TransformStream", "TransformStreamDefaultController", "WritableStream",
  "WritableStreamDefaultController", "WritableStreamDefaultWriter", "ReadableStream", "ReadableStreamDefaultReader",
  "ReadableStreamBYOBReader", "ReadableStreamBYOBRequest", "ReadableByteStreamController",
  "ReadableStreamDefaultController", "ByteLengthQueuingStrategy", "CountQueuingStrategy", "TextEncoderStream",
  "TextDecoderStream", "CompressionStream", "DecompressionStream", "BroadcastChannel", "MessageChannel",
  "MessagePort", "MessageEvent", "Blob", "File", "Performance", "PerformanceEntry", "PerformanceMark",
  "PerformanceMeasure", "PerformanceObserver", "PerformanceObserverEntryList", "PerformanceResourceTiming", "fetch",
  "FormData", "Headers", "Request", "Response", "WebAssembly", "crypto", "Crypto", "CryptoKey", "SubtleCrypto",
  "CustomEvent", "Intl", "WebSocket", "CloseEvent", "EventSource", "Navigator", "navigator", "Storage",
  "localStorage", "sessionStorage",
];
// Places where engines differ, by what holds them: what is missing in one of them, newer, or computed in its own way.
const UNEQUAL = [
  [Array, "fromAsync"],
  [Array.prototype, "toLocaleString"],
  [BigInt.prototype, "toLocaleString"],
  [Error, "isError captureStackTrace stackTraceLimit prepareStackTrace"],
  [Error.prototype, "stack"],
  [Iterator.prototype, "constructor chunks concat drop every filter find flatMap forEach includes join map reduce some take toArray windows"],
  [JSON, "isRawJSON rawJSON"],
  [Map, "groupBy"],
  [Map.prototype, "getOrInsert getOrInsertComputed"],
  [WeakMap.prototype, "getOrInsert getOrInsertComputed"],
  [Math, "random sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp expm1 log log1p log2 log10 cbrt atan2 hypot f16round sumPrecise"],
  [Number.prototype, "toLocaleString"],
  [Object, "groupBy"],
  [Object.prototype, "toLocaleString"],
  [RegExp, "escape $1 $2 $3 $4 $5 $6 $7 $8 $9 $_ $& $+ $` $' input lastMatch lastParen leftContext rightContext"],
  [Set.prototype, "difference intersection isDisjointFrom isSubsetOf isSupersetOf symmetricDifference union"],
  [String.prototype, "localeCompare toLocaleLowerCase toLocaleUpperCase"],
];
const ERRORS = [
  Error.prototype, EvalError.prototype, RangeError.prototype, ReferenceError.prototype, SyntaxError.prototype,
  TypeError.prototype, URIError.prototype,
];
const OTHER_OUTPUT =
  "dir time timeEnd timeLog assert clear count countReset group groupEnd table dirxml groupCollapsed trace Console " +
  "profile profileEnd timeStamp context createTask";

function trap(holder, name) {
  const set = function (value) {
    defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
  };
  defineProperty(holder, name, { get: () => leave(name), set, enumerable: false, configurable: true });
}

function put(holder, name, value) {
  defineProperty(holder, name, { value, writable: true, enumerable: false, configurable: true });
}

function tell(stream, text) {
  text = apply(wellFormed, text, []);
  if (has(text, "\0")) write(stream, stringify(text), true);
  else write(stream, text, false);
}

function printer(stream) {
  return (...values) => tell(stream, `${format(values)}\n`);
}

const out = printer(1);
const err = printer(2);
const console = { log: out, warn: err, debug: out, info: out, error: err };

function guard(known, of) {
  return new Proxy(known, {
    get: (target, name) => (hasOwn(target, name) ? target[name] : leave(typeof name === "symbol" ? of : `${of}.${name}`)),
    has: () => leave(of),
    ownKeys: () => leave(of),
    getOwnPropertyDescriptor: () => leave(of),
    getPrototypeOf: () => leave(of),
    set: () => leave(of),
    defineProperty: () => leave(of),
    deleteProperty: () => leave(of),
    setPrototypeOf: () => leave(of),
    isExtensible: () => leave(of),
    preventExtensions: () => leave(of),
  });
}

const stdout = guard(
  {
    write(text, ...more) {
      if (typeof text !== "string" || more.length) leave("process.stdout.write of something else");
      tell(1, text);
      return true;
    },
  },
  "process.stdout",
);
const process = guard({ stdout }, "process");

const files = guard(
  {
    readFileSync(path, options) {
      const encoding = typeof options === "object" && options !== null ? options.encoding : options;
      if ((path !== 0 && path !== "/dev/stdin") || (encoding !== "utf8" && encoding !== "utf-8")) leave("a file");
      const text = unread;
      unread = "";
      return text;
    },
  },
  "fs",
);

function require(name) {
  return name === "fs" || name === "node:fs" ? files : leave(`require ${typeof name === "string" ? name : ""}`);
}

// As V8 sorts what is short: with the same order of calls, so that a comparison that contradicts itself does the same.
function sorted(list, compare) {
  if (compare === undefined || typeof compare !== "function") return apply(sortNatively, list, [compare]);
  if (!isArray(list)) leave("sorting what is no list");
  const work = [];
  let undefinedCount = 0;
  for (let i = 0; i < list.length; i++) {
    if (!hasOwn(list, i)) leave("sorting a list with holes");
    if (list[i] === undefined) undefinedCount++;
    else work[work.length] = list[i];
  }
  if (work.length >= 64) leave("sorting a long list");
  if (work.length > 1) insertAll(work, compare, runLength(work, compare));
  for (let i = 0; i < work.length; i++) list[i] = work[i];
  for (let i = 0; i < undefinedCount; i++) list[work.length + i] = undefined;
  return list;
}

function order(compare, a, b) {
  const found = +compare(a, b);
  return isNaN(found) ? 0 : found;
}

function runLength(work, compare) {
  const falls = order(compare, work[1], work[0]) < 0;
  let length = 2;
  while (length < work.length && order(compare, work[length], work[length - 1]) < 0 === falls) length++;
  for (let i = 0; falls && i < length - 1 - i; i++) {
    const left = work[i];
    work[i] = work[length - 1 - i];
    work[length - 1 - i] = left;
  }
  return length;
}

function insertAll(work, compare, from) {
  for (let at = from; at < work.length; at++) {
    const pivot = work[at];
    let left = 0;
    let right = at;
    while (left < right) {
      const middle = left + ((right - left) >> 1);
      if (order(compare, pivot, work[middle]) < 0) right = middle;
      else left = middle + 1;
    }
    for (let i = at; i > left; i--) work[i] = work[i - 1];
    work[left] = pivot;
  }
}

const replacements = {
  sort(compare) {
    return sorted(this, compare);
  },
  toSorted(compare) {
    if (!isArray(this)) leave("sorting what is no list");
    const copy = [];
    for (let i = 0; i < this.length; i++) copy[i] = this[i];
    return sorted(copy, compare);
  },
  toString(radix) {
    const plain = radix === undefined || radix === 10 || isSafeInteger(+this);
    return plain ? apply(numberText, this, [radix]) : leave("digits of a fraction");
  },
  pow(base, exponent) {
    const power = raise(base, exponent);
    return isSafeInteger(base) && isSafeInteger(exponent) && exponent >= 0 && isSafeInteger(power) ? power : leave("Math.pow");
  },
};

function lookLikeNode() {
  const names = getOwnPropertyNames(world);
  for (let i = 0; i < names.length; i++) if (!SHARED.includes(names[i])) trap(world, names[i]);
  for (const name of ONLY_IN_NODE) trap(world, name);
  for (const [holder, text] of UNEQUAL) for (const name of text.split(" ")) trap(holder, name);
  for (const name of [Symbol.dispose, Symbol.toStringTag]) delete IteratorPrototype[name];
  for (const name of OTHER_OUTPUT.split(" ")) trap(console, name);
  put(Array.prototype, "sort", replacements.sort);
  put(Array.prototype, "toSorted", replacements.toSorted);
  put(Number.prototype, "toString", replacements.toString);
  put(Math, "pow", replacements.pow);
  put(world, "console", console);
  put(world, "process", process);
}

let unread = "";
let entry;

// What is wrong with a text by itself, "" for nothing. A `return` outside of a function is not, and nothing runs.
function harnessCheck(text) {
  const error = read(`throw 0;\n${text}`);
  const said = error === 0 ? "" : described(error);
  return said === "" || apply(startsWith, said, [RETURN]) ? "" : `?${said}`;
}

// Run a program, put into a function; the answer is "", "missing" where what is wanted is not there, "?" and what is
// wrong with the text, or what was thrown.
function harnessLoad(text, name, input) {
  unread = input;
  const module = { exports: {}, filename: MAIN_FILE, paths: [] };
  let body;
  try {
    body = evaluate(text);
  } catch (error) {
    return `?${described(error)}`;
  }
  try {
    const local = apply(body, module.exports, [module.exports, require, module, MAIN_FILE, "/tmp"]);
    if (!name) return "";
    entry = local || module.exports[name] || module.exports;
  } catch (error) {
    return thrown(error);
  }
  return typeof entry === "function" ? "" : "missing";
}

function described(error) {
  if (typeof error !== "object" || error === null || getPrototypeOf(error) !== SyntaxErrorPrototype) leave("no syntax error");
  return `SyntaxError: ${error.message}\n${apply(stackOf, error, [])}`;
}

// One call: "=" and the JSON of its value, nothing where that is none, or what was thrown.
function harnessCall(text) {
  let value;
  try {
    value = apply(entry, undefined, parse(text));
  } catch (error) {
    return thrown(error);
  }
  if (typeof value === "object" && apply(tagOf, value, []) === "[object Promise]") leave("a promise");
  try {
    return `=${stringify(value, strict)}`;
  } catch {
    return "=";
  }
}

function strict(key, value) {
  const kind = typeof value;
  const lost = kind === "function" || kind === "symbol" || (kind === "number" && (isNaN(value) || value - value !== 0));
  if (lost || (value === undefined && (key === "" || isArray(this)))) throw new TypeError("not JSON");
  return value;
}

// Name, message and stack of a plain error as JSON.
function thrown(error) {
  let plain = false;
  if (typeof error === "object" && error !== null) {
    for (let i = 0; i < ERRORS.length; i++) plain = plain || getPrototypeOf(error) === ERRORS[i];
  }
  if (!plain || keys(error).length || hasOwn(error, "cause") || hasOwn(error, "name")) leave("throwing something else");
  const said = hasOwn(error, "message") ? getOwnPropertyDescriptor(error, "message").value : "";
  const { name } = getPrototypeOf(error);
  const stack = apply(stackOf, error, []);
  if (typeof said !== "string" || typeof name !== "string" || typeof stack !== "string") leave("throwing something else");
  return stringify([name, said, stack]);
}

lookLikeNode();
return (what, text, name, input) =>
  what === "call" ? harnessCall(text) : what === "load" ? harnessLoad(text, name, input) : harnessCheck(text);
