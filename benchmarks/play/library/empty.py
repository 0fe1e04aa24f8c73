#!/usr/bin/python
"""A module that does nothing: what any task of Ansible sends and costs."""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    AnsibleModule({}).exit_json(changed=False)


if __name__ == "__main__":
    main()
