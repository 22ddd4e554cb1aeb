//! Whether OpenCode's terminal shows the whole of a question's title.
//!
//! Owns the sizes of that dialog and how lines are broken in it. Invariant: what is
//! said to fit is shown whole on a terminal of 80 columns; where it is not known how
//! a terminal breaks a line, the reading that takes more rows counts.
//! It words nothing; `question.js` does.

import { posix } from "node:path"
import { columnsOf } from "./width.js"

/** Rows of a title that are shown whole. */
const MAX_ROWS = 9
/** Rows of the title above a diff, so that some of the diff is seen below it. */
const MAX_ROWS_ABOVE_DIFF = 6
/** Columns of such a row on a terminal of 80. */
const COLUMNS = 66
/** What OpenCode writes before a key of ours, and before the name of a file. */
const CALL_PREFIX = "Call tool "
const EDIT_PREFIX = "Edit "

/** Whether a key of ours is shown whole as the title of a question. */
export function fitsTitle(text) {
  return rowsOf(`${CALL_PREFIX}${text}`) <= MAX_ROWS
}

/**
 * Whether the text is shown whole, and as it is, above a diff. OpenCode takes it for
 * a path and shows what is left when `..`, `//` and the like are worked out.
 */
export function fitsAboveDiff(text) {
  const shown = posix.relative("/w", posix.resolve("/w", text))
  return shown === text && rowsOf(`${EDIT_PREFIX}${text}`) <= MAX_ROWS_ABOVE_DIFF
}

// The terminal breaks lines at words, and which characters end a word is its own
// affair; the less favourable of two readings is taken.
function rowsOf(text) {
  const lines = text.split("\n")
  const rows = (words) => lines.reduce((sum, line) => sum + wrappedRows(line.match(words) ?? []), 0)
  return Math.max(rows(/\S+\s*|\s+/g), rows(/\w+\W*|\W+/g))
}

function wrappedRows(words) {
  let rows = 1
  let used = 0
  const nextRow = () => {
    rows += 1
    used = 0
  }
  for (const word of words) {
    const columns = Array.from(word, columnsOf)
    const whole = columns.reduce((sum, width) => sum + width, 0)
    if (used > 0 && used + whole > COLUMNS) nextRow()
    // A word longer than a row is cut wherever the row ends, and a wide character
    // is never cut in two.
    for (const width of columns) {
      if (used + width > COLUMNS) nextRow()
      used += width
    }
  }
  return rows
}
