"""The ledger, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence

from lever_imocha.ledger.deliveries import Deliveries
from lever_imocha.ledger.entries import Entries
from lever_imocha.ledger.invitations import Invitations
from lever_imocha.ledger.names import Names
from lever_imocha.ledger.restore import RestoreDetection
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.ledger.write_backs import WriteBacks


class Ledger(Entries, Deliveries, Invitations, WriteBacks, RestoreDetection, Names):
    """The ledger's repository; its parts are in modules of their own."""

    def announce(self, invitation_ids: Sequence[int]) -> None:
        """Have the status tag of the invitations' opportunities shown anew: they wait like after a webhook of Lever."""
        for invitation_id in invitation_ids:
            status = self.invitation_status(invitation_id)
            for opportunity_id in self.opportunities_of_invitation(invitation_id):
                key = f"status {invitation_id} {opportunity_id} {status} {self._clock().isoformat()}"
                self.record_delivery(
                    NewDelivery(vendor="lever", key=key, event="status", opportunity_id=opportunity_id)
                )
