"""Business rules and the vendors' objects: pure functions and value types without I/O. Begin with `decisions`.

- The vendors' objects: `lever`, `forms`, `imocha`; `types` reads their loosely typed fields, `typed_text` what people type.
- Who is invited to what: `decisions`, `rules`, `tags`, `known_tests`, `settings_versions`, `arrivals`.
- What is told: `explanations` to recruiters, `advice` and `standing` to operators.
- The rest, each for itself: `acts`, `clock`, `comparison`, `evidence`, `hosts`, `metrics`, `names`, `pauses`, `sealing`, `signatures`.
"""
