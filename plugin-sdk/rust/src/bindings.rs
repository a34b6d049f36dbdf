//! What wit-bindgen makes of `wit/0.1.0`, one part per exported interface. A part's export macro also emits the
//! component-type section for that part, and wit-component joins the sections of all the parts that a plugin exports:
//! so four worlds share one set of types. Imports that a plugin does not call are left out of its component.

/// All imports, the shared types, and the interface `plugin`.
pub mod base {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "
            package hawser:sdk;
            world base {
                import hawser:connect/schemas@0.1.0;
                import hawser:connect/log@0.1.0;
                import hawser:connect/source-context@0.1.0;
                import hawser:connect/sink-context@0.1.0;
                export hawser:connect/plugin@0.1.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_plugin",
    });
}

/// The interface `connector`.
pub mod connector {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hawser:sdk; world connector { export hawser:connect/connector@0.1.0; }",
        with: { "hawser:connect/types@0.1.0": crate::bindings::base::hawser::connect::types },
        pub_export_macro: true,
        export_macro_name: "export_connector",
    });
}

/// The interface `source`.
pub mod source {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hawser:sdk; world source { export hawser:connect/source@0.1.0; }",
        with: {
            "hawser:connect/types@0.1.0": crate::bindings::base::hawser::connect::types,
            "hawser:connect/records@0.1.0": crate::bindings::base::hawser::connect::records,
        },
        pub_export_macro: true,
        export_macro_name: "export_source",
    });
}

/// The interface `sink`.
pub mod sink {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hawser:sdk; world sink { export hawser:connect/sink@0.1.0; }",
        with: {
            "hawser:connect/types@0.1.0": crate::bindings::base::hawser::connect::types,
            "hawser:connect/records@0.1.0": crate::bindings::base::hawser::connect::records,
        },
        pub_export_macro: true,
        export_macro_name: "export_sink",
    });
}

/// The interface `transform`.
pub mod transform {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hawser:sdk; world transform { export hawser:connect/transform@0.1.0; }",
        with: {
            "hawser:connect/types@0.1.0": crate::bindings::base::hawser::connect::types,
            "hawser:connect/records@0.1.0": crate::bindings::base::hawser::connect::records,
        },
        pub_export_macro: true,
        export_macro_name: "export_transform",
    });
}

/// The types that cross the wall, under short names.
pub mod wit {
    pub use super::base::exports::hawser::connect::plugin;
    pub use super::base::hawser::connect::log;
    pub use super::base::hawser::connect::records::{Batch, Failure};
    pub use super::base::hawser::connect::types::{Error, TopicOffset, TopicPartition};
    pub use super::base::hawser::connect::{schemas, sink_context, source_context};
    pub use super::source::exports::hawser::connect::source::{Checkpoint, Polled};
    pub use super::transform::exports::hawser::connect::transform::{Guard, Step, Transformed};
}
