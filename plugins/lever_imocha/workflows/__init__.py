"""The steps in order: rules, clients and ledger put together; no Airflow. Begin with `invite`, then `write_back`.

- Claimed work: `work`. What may be sent twice: `idempotency`, `effects`.
- Who came: `stage_sweep`. What is known of one candidate: `situation`, with `asked_tests`, `active_tests`, `named_links`
  and `temporary_tags`. Inviting: `limits`, `invitation_sender`, `invite_calls`.
- Who left: `deletion`, `cancellation`, `masking`.
- What ended: `attempt_sweep`, `attempt_statuses`, `listed_attempts`. The report: `report_writer`.
- What recruiters see in Lever: `explain`, `stay_note`.
- What the settings' names mean: `resolved_settings`, `form_templates`, `lever_names`.
- What all sweeps look at: `account`, `clocks`, `vendor_lists`.
- What people ask for: `requests`, `preview`, `settings_change`, `sync_tags`, and the packages `setup` and `doctor`.
- Now and then: `comparison`, `retention`.
"""
