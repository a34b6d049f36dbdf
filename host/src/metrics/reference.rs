//! The documentation of all figures.

use super::table::Described;
use super::{hawser, kafka};

/// All figures by their groups: first Kafka's, then Hawser's own.
pub fn documented() -> [Vec<(&'static str, Vec<Described>)>; 2] {
    [kafka::describe(), hawser::describe()]
}

/// The documentation of all figures, in Markdown.
pub fn reference() -> String {
    let [kafka, own] = documented();
    let mut text = String::from("\n## Kafka Connect's\n");
    for (title, figures) in kafka {
        text.push_str(&format!(
            "\n### {title}\n\n| JMX exporter | reporter | type | labels | meaning | unit |\n|---|---|---|---|---|---|\n"
        ));
        for figure in figures {
            let (name, reporter) = (cell(figure.name.as_deref()), cell(figure.reporter.as_deref()));
            let rest = [figure.kind, &figure.labels.join(", "), figure.help, figure.unit].join(" | ");
            text.push_str(&format!("| {name} | {reporter} | {rest} |\n"));
        }
    }
    text.push_str("\n## Hawser's own\n");
    for (title, figures) in own {
        text.push_str(&format!("\n### {title}\n\n| name | type | labels | meaning | unit |\n|---|---|---|---|---|\n"));
        for figure in figures {
            let rest = [figure.kind, &figure.labels.join(", "), figure.help, figure.unit].join(" | ");
            text.push_str(&format!("| {} | {rest} |\n", cell(figure.name.as_deref())));
        }
    }
    text
}

fn cell(name: Option<&str>) -> String {
    name.map_or("–".to_owned(), |name| format!("`{name}`"))
}
