#!/usr/bin/env python3
"""Pages of OneRoster 1.2 users for the benchmarks: made-up pupils, about 1.76 KB each, always the same.

usage: pages.py DIR [USERS ...]      writes DIR/users_N.json for each N; 1, 100 and 10000 by default
"""
import json
import pathlib
import random
import sys
import uuid

FIRST = "Emma Noah Julia Liam Mila Luca Tess Finn Sophie Levi Zoë Daan Nora Sem Yara Bram Fenna Jaïr Ömer Fatima".split()
LAST = "de Jong|Jansen|de Vries|van den Berg|Bakker|van Dijk|Visser|Smit|Meijer|de Boer|Mulder|Bos|Yılmaz|El Amrani".split("|")
BASE = "https://school.example/ims/oneroster/rostering/v1p2"


class School:
    """Makes pupils; the same ones in the same order."""

    def __init__(self):
        self.random = random.Random(7)
        self.orgs = [self.guid() for _ in range(5)]

    def guid(self):
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def digits(self, prefix, count):
        return f"{prefix}{self.random.randrange(10**count):0{count}d}"

    def pupil(self, number):
        pick = self.random.choice
        given, family, org, parent = pick(FIRST), pick(LAST), pick(self.orgs), self.guid()
        login = given.lower()
        org = {"href": f"{BASE}/orgs/{org}", "sourcedId": org, "type": "org"}
        day, minute = self.random.randint(1, 28), self.random.randint(0, 59)
        return {
            "sourcedId": self.guid(),
            "status": "active",
            "dateLastModified": f"2026-09-{day:02d}T11:{minute:02d}:00.000Z",
            "metadata": {"leerlingnummer": self.digits("", 6), "note": None},
            "userMasterIdentifier": self.guid(),
            "username": f"{given}.{family}{number}".lower().replace(" ", ""),
            "userIds": [
                {"type": "LDAP", "identifier": f"{login}{number}@school.example"},
                {"type": "ECKiD", "identifier": f"https://ketenid.example/201703/{self.random.getrandbits(512):0128x}"},
            ],
            "enabledUser": "true",
            "givenName": given,
            "familyName": family,
            "middleName": "",
            "preferredFirstName": given,
            "preferredLastName": family,
            "pronouns": "she/her/hers",
            "roles": [
                {
                    "roleType": "primary",
                    "role": "student",
                    "org": org,
                    "beginDate": "2026-08-01",
                    "endDate": "2027-07-31",
                    "userProfile": self.guid(),
                }
            ],
            "userProfiles": [
                {
                    "profileId": self.guid(),
                    "profileType": "LMS",
                    "vendorId": "vendor-1",
                    "applicationId": "app-7",
                    "description": "Methode rekenen",
                    "credentials": [{"type": "password", "username": login, "password": "fake-Welkom01!"}],
                }
            ],
            "primaryOrg": org,
            "identifier": self.digits("9", 8),
            "email": f"{login}.{number}@leerling.school.example",
            "sms": self.digits("+31600", 6),
            "phone": self.digits("+31200", 6),
            "agents": [{"href": f"{BASE}/users/{parent}", "sourcedId": parent, "type": "user"}],
            "grades": [f"{self.random.randint(1, 8):02d}"],
            "password": "",
        }


def page(users):
    """A page of so many users, as a school's API sends it: compact JSON, UTF-8."""
    school = School()
    content = {"users": [school.pupil(number) for number in range(users)]}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def main(folder, *counts):
    for count in [int(count) for count in counts] or [1, 100, 10000]:
        pathlib.Path(folder, f"users_{count}.json").write_bytes(page(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
