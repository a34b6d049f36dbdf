//! The host's side of `hawser:connect@0.1.0`, generated. One world that imports and exports everything shares the types of
//! all worlds; which interfaces a component exports is looked up one by one (`super::component`).

#![allow(missing_docs, clippy::all)]

wasmtime::component::bindgen!({
    path: "../wit/0.1.0",
    inline: "
        package hawser:host;
        world everything {
            include hawser:connect/connector-plugin@0.1.0;
            include hawser:connect/transform-plugin@0.1.0;
        }
    ",
    world: "hawser:host/everything",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: {
        "hawser:connect/source-context.offsets": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

pub(super) use self::hawser::connect as host;
pub(super) use exports::hawser::connect as guest;
