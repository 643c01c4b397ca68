//! Tables for people, JSON for machines.

use serde_json::Value;

/// Prints one value as JSON on one line.
pub(crate) fn json(value: &Value) {
    println!("{value}");
}

/// Prints names and values below each other; those without a value are left out.
pub(crate) fn fields(fields: &[(&str, Option<String>)]) {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        if let Some(value) = value {
            println!("{name:<width$}  {value}");
        }
    }
}

/// Prints a table, columns as wide as they have to be.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].len())
    });
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("{}", padded.join("  ").trim_end());
    };
    line(head);
    for row in rows {
        line(row.each_ref().map(String::as_str));
    }
}

/// A stored payload: the value if it is JSON, else its text.
pub(crate) fn payload(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
    })
}
