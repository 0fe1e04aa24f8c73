"""translate: an Ansible inventory becomes the documents of a spec, and a report of all that is not as it was. Pure.

    reading      texts become facts, or every mistake in them
    facts        who is in which group, and which value holds where, in Ansible's order
    layouts      which groups make K3s servers and agents: k3s-ansible's, Kubespray's, or those that options name
    sites        which site a host belongs to
    names        names that a spec takes
    labels       groups become labels
    connection   how hosts are reached; `behaviour`: Ansible's other settings; `reaching`: addresses
    clusters     what playbooks say of K3s: `k3s_ansible`, `kubespray`, checked by `k3s_settings`, shared by `hoisting`
    vaults       vaulted values stay vaulted
    values       what a layer can hold of a variable
    layering     which layer says what, so that nodes get what Ansible gives them
    documents    all of it put together, as text by `writing`

Nothing here may read a file or the environment, and nothing may be left out without a note.
"""

from fleet.translate.translating import translate

__all__ = ["translate"]
