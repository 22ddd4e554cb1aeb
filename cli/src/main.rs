//! Skeleton.

#[cfg_attr(not(test), expect(dead_code, reason = "no verb uses it yet"))]
mod demo {
    pub(crate) mod server;
}

fn main() {}
