//! Columns of a character, as Unicode's East_Asian_Width has them.

import assert from "node:assert/strict"
import { test } from "node:test"
import { columnsOf } from "../lib/width.js"

test("a character takes the columns of the widest terminal", () => {
  const table = [
    ["a", 1],
    ["~", 1],
    ["\u00f1", 1],
    ["\t", 8],
    // Ambiguous, then combining, wide, fullwidth, halfwidth.
    ["\u00e9", 2],
    ["\u044f", 2],
    ["\u2500", 2],
    ["\u0301", 0],
    ["\u20dd", 0],
    ["\u6f22", 2],
    ["\u3042", 2],
    ["\uac00", 2],
    ["\uff21", 2],
    ["\uff71", 1],
    ["\u{1f600}", 2],
    ["\u{1f1e9}", 2],
    ["\u{20000}", 2],
    // The ends of the table and what lies between two ranges.
    ["\u00a1", 2],
    ["\u00a2", 1],
    // Not assigned.
    ["\u{1d37f}", 2],
    ["\u{10ffff}", 2],
  ]
  for (const [character, expected] of table) assert.equal(columnsOf(character), expected, character.codePointAt(0).toString(16))
})
