// Runs one JavaScript program in a node that was started before the program was known.
// node program.js GO REQUEST STAGE ANSWERS: four descriptors; the first three close before the program starts.
"use strict";

const fs = require("fs");
const vm = require("vm");
const Module = require("module");

const [go, requestFd, stageFd, answersFd] = process.argv.slice(2).map(Number);
const CONFINED = 1;
const COMPILED = 2;
const MAIN_FILE = "/tmp/program.js";
const { writeSync, readFileSync, readSync } = fs;
const { inspect } = require("util");
const { stringify, parse } = JSON;
const { from, alloc } = Buffer;
const stop = process.reallyExit.bind(process);

function takeRequest() {
  readSync(go, alloc(1), 0, 1, null);
  const request = parse(readFileSync(requestFd, "utf8"));
  fs.closeSync(go);
  fs.closeSync(requestFd);
  return request;
}

function reach(stage) {
  writeSync(stageFd, from([stage]), 0, 1, 0);
}

function lookNormal() {
  process.argv.splice(1, process.argv.length, MAIN_FILE);
  process.execArgv.length = 0;
  delete process.env.PWD;
  // There is no /proc in the jail, through which /dev/stdin would lead.
  fs.readFileSync = (path, options) => readFileSync(path === "/dev/stdin" ? 0 : path, options);
  process.chdir("/tmp");
}

function compile(request) {
  // The last line hands out the function; the text cannot break out of the body it is parsed as.
  const entry = request.entry;
  const tail = entry ? `\n;return typeof ${entry} === "function" ? ${entry} : undefined;` : "";
  const names = ["exports", "require", "module", "__filename", "__dirname"];
  return vm.compileFunction(request.code + tail, names, {
    filename: MAIN_FILE,
    importModuleDynamically: vm.constants ? vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER : undefined,
  });
}

function strict(key, value) {
  const kind = typeof value;
  const lost = kind === "function" || kind === "symbol" || (kind === "number" && !Number.isFinite(value));
  if (lost || (value === undefined && (key === "" || Array.isArray(this)))) {
    throw new TypeError("not JSON");
  }
  return value;
}

function encoded(value, cap) {
  try {
    const text = from(stringify(value, strict), "utf8");
    return text.length <= cap ? text : alloc(0);
  } catch {
    return alloc(0);
  }
}

async function answer(request, entry) {
  let position = 4;
  let failed = false;
  for (const call of request.calls) {
    let text = alloc(0);
    try {
      let value = entry(...parse(call));
      if (value instanceof Promise) value = await value;
      text = encoded(value, request.answer_bytes);
    } catch (error) {
      if (!failed) console.error(error);
      failed = true;
    }
    if (position + 4 + text.length > request.answer_area) text = alloc(0);
    const head = alloc(4);
    head.writeUInt32LE(text.length);
    writeSync(answersFd, head, 0, 4, position);
    writeSync(answersFd, text, 0, text.length, position + 4);
    position += 4 + text.length;
  }
  if (failed) process.exitCode = 1;
}

function warmUp() {
  // node builds these when they are first used; do it while nobody waits.
  inspect([process.stdout.writable, process.stderr.writable, process.stdin.readable, { a: 1 }, new Error("x")]);
  vm.compileFunction("return 1", [])();
  process.stdin.destroyed;
}

function main() {
  warmUp();
  const request = takeRequest();
  lookNormal();
  reach(CONFINED);
  let body;
  try {
    body = compile(request);
  } catch (error) {
    const lines = String(error.stack || error).split("\n");
    writeSync(2, `${lines.filter((line) => !line.startsWith("    at ")).join("\n")}\n`);
    stop(1);
  }
  reach(COMPILED);
  fs.closeSync(stageFd);
  const module = new Module(MAIN_FILE);
  module.filename = MAIN_FILE;
  module.paths = [];
  const require = Module.createRequire(MAIN_FILE);
  const local = body.call(module.exports, module.exports, require, module, MAIN_FILE, "/tmp");
  if (!request.entry) return;
  const entry = local || module.exports[request.entry] || module.exports;
  if (typeof entry !== "function") {
    console.error(`ReferenceError: the program defines no function ${request.entry}`);
    process.exitCode = 1;
    return;
  }
  answer(request, entry);
}

main();
