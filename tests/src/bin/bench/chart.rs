//! The chart: one bar per line, how many times better than its goal it is.
//!
//! It deliberately is plain SVG without a style sheet, so that it looks the same
//! wherever it is shown.
//!
//! Invariant: to the right is better, whatever a line measures.

use std::fmt::Write as _;

use crate::table::{Row, Table};

const LEFT: f64 = 330.0;
const WIDTH: f64 = 900.0;
const LINE: f64 = 22.0;
const TOP: f64 = 46.0;
/// Doublings shown on either side of the goal.
const WORSE: f64 = 3.0;
const BETTER: f64 = 5.0;

/// Draws the table.
pub(crate) fn svg(table: &Table) -> String {
    let rows = table.rows();
    let height = TOP + rows.len() as f64 * LINE + 14.0;
    let goal = place(1.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{goal}\" y=\"16\" text-anchor=\"middle\" fill=\"#333333\">goal</text>\n"
    );
    for (power, name) in [(-2, "4x worse"), (2, "4x better"), (4, "16x better")] {
        let at = place(2f64.powi(power));
        let _ = writeln!(
            svg,
            "<text x=\"{at}\" y=\"16\" text-anchor=\"middle\" fill=\"#999999\">{name}</text>\n\
             <line x1=\"{at}\" y1=\"24\" x2=\"{at}\" y2=\"{height}\" stroke=\"#eeeeee\"/>"
        );
    }
    for (index, row) in rows.iter().enumerate() {
        svg.push_str(&bar(row, TOP + index as f64 * LINE));
    }
    let _ = writeln!(
        svg,
        "<line x1=\"{goal}\" y1=\"24\" x2=\"{goal}\" y2=\"{height}\" stroke=\"#333333\"/>\n</svg>"
    );
    svg
}

fn bar(row: &Row, top: f64) -> String {
    let (from, to) = (place(1.0), place(row.score()));
    let colour = if row.met() { "#4c956c" } else { "#c8553d" };
    let text = top + 12.0;
    format!(
        "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\" fill=\"#333333\">{}</text>\n\
         <rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"14\" fill=\"{colour}\"/>\n\
         <text x=\"{}\" y=\"{text}\" fill=\"#333333\">{}</text>\n",
        LEFT - 8.0,
        escaped(&row.what),
        from.min(to),
        top,
        (to - from).abs().max(1.0),
        from.max(to) + 6.0,
        escaped(&format!("{} ({})", row.value_shown(), row.goal_shown())),
    )
}

/// Where a number of times better stands.
fn place(score: f64) -> f64 {
    let doublings = score.log2().clamp(-WORSE, BETTER);
    let room = WIDTH - LEFT - 150.0;
    LEFT + (doublings + WORSE) / (WORSE + BETTER) * room
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
