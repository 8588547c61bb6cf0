"""The MITRE ATT&CK techniques that findings may show, with names and tactics as published.

Checked against ATT&CK for Enterprise version 19 (https://attack.mitre.org/resources/versions/). That version
split the tactic Defense Evasion into Stealth and Defense Impairment, and replaced T1562.008 by T1685.002.
"""

from msgspec import Struct

ATTACK_VERSION = "19.0"


class Tactic(Struct, frozen=True, gc=False):
    """A tactic: why an adversary would do it. ``uid`` is its ID, such as ``TA0001``."""

    uid: str
    name: str


class Technique(Struct, frozen=True, gc=False, kw_only=True):
    """A technique, or a sub-technique of the technique ``parent``."""

    uid: str
    name: str
    tactics: tuple[Tactic, ...]
    parent: "Technique | None" = None

    @property
    def url(self) -> str:
        """Return the page of the technique."""
        return f"https://attack.mitre.org/techniques/{self.uid.replace('.', '/')}/"


_INITIAL_ACCESS = Tactic("TA0001", "Initial Access")
_PERSISTENCE = Tactic("TA0003", "Persistence")
_PRIVILEGE_ESCALATION = Tactic("TA0004", "Privilege Escalation")
_STEALTH = Tactic("TA0005", "Stealth")
_DEFENSE_IMPAIRMENT = Tactic("TA0112", "Defense Impairment")

_ACCOUNTS = (_INITIAL_ACCESS, _PERSISTENCE, _PRIVILEGE_ESCALATION, _STEALTH)
_VALID_ACCOUNTS = Technique(uid="T1078", name="Valid Accounts", tactics=_ACCOUNTS)
_DISABLE_TOOLS = Technique(uid="T1685", name="Disable or Modify Tools", tactics=(_DEFENSE_IMPAIRMENT,))

TECHNIQUES = {
    technique.uid: technique
    for technique in (
        Technique(uid="T1078.004", name="Cloud Accounts", tactics=_ACCOUNTS, parent=_VALID_ACCOUNTS),
        Technique(uid="T1578", name="Modify Cloud Compute Infrastructure", tactics=(_DEFENSE_IMPAIRMENT,)),
        Technique(
            uid="T1685.002",
            name="Disable or Modify Cloud Log",
            tactics=(_DEFENSE_IMPAIRMENT,),
            parent=_DISABLE_TOOLS,
        ),
    )
}
"""The techniques by ID."""
