//! Which messages may be withheld as a whole.

use std::collections::BTreeSet;

use super::{Content, Index, Item, Policy, Rule, Shape, ShapeBody};

impl Policy {
    /// Whether a message may be withheld as a whole, as if there were none: outside of all lists
    /// stands an object that `[only]` or `[except]` may not let through.
    ///
    /// Of such a message no head may go on without its body: who asked would see that there is one.
    #[must_use]
    pub fn may_be_withheld(&self, content: Content) -> bool {
        let Content::Json(rule) = content else {
            return false;
        };
        let mut seen = BTreeSet::new();
        // Alone, without its brackets, the item is the message.
        let one = if let Rule::ListOrOne(Item::Object(shape)) = rule {
            Some(shape)
        } else {
            rule.of_object()
        };
        let mut left: Vec<Index<Shape>> = one.into_iter().collect();
        while let Some(shape) = left.pop() {
            if !seen.insert(shape.place()) {
                continue;
            }
            let gate = self.gate(shape);
            if gate.is_some_and(|gate| !gate.only.is_empty() || !gate.glimpses.is_empty()) {
                return true;
            }
            left.extend(self.within(shape));
        }
        false
    }

    /// The shapes that an object of a shape can have, or its fields that are objects.
    fn within(&self, shape: Index<Shape>) -> Vec<Index<Shape>> {
        let switch = match self.shape(shape).map(|shape| &shape.body) {
            None => return Vec::new(),
            Some(ShapeBody::Fields(fields)) => {
                let rules = fields.lines().iter().map(|line| line.rule);
                return rules.filter_map(Rule::of_object).collect();
            }
            Some(ShapeBody::Switch(switch)) => switch,
        };
        switch.shapes().collect()
    }
}
