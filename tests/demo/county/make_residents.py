#!/usr/bin/env python3
"""Write the demo county's residents. Everybody in them is made up.

    python3 make_residents.py            write the four files beside this script
    python3 make_residents.py --check    compare them with what would be written

The output is the same, byte for byte, on every machine and Python version:
the random numbers are our own (SplitMix64), nothing depends on the clock or
on hash order, and the XLSX parts are stored, not deflated, because zlib and
its replacements compress the same input to different bytes.
"""

import csv
import io
import json
import sys
import zipfile
from datetime import date, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
SEED = 22
TODAY = date(2026, 11, 22)  # the reference date: nobody is born later

COLUMNS = [
    "姓名", "身份证号", "村", "村民小组", "户主姓名", "与户主关系", "联系电话",
    "小名", "住址", "民族", "银行卡号", "残疾人证号", "低保", "退役军人",
]

# How many people each village has. 2,100 in 清河镇 and 900 in 白云乡.
HEADCOUNT = {101: 620, 102: 470, 103: 430, 104: 580, 201: 520, 202: 380}

COUNTY_REGION = "130999"  # not an allotted division code
OTHER_REGIONS = ["130926", "130624", "130533", "130133", "130632", "131122", "130434"]


# --- random numbers -------------------------------------------------------

class Rng:
    """SplitMix64."""

    MASK = (1 << 64) - 1

    def __init__(self, seed):
        self.state = seed & self.MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & self.MASK
        return z ^ (z >> 31)

    def between(self, low, high):
        """A whole number from low to high, both included."""
        return low + self.next() % (high - low + 1)

    def pick(self, items):
        return items[self.next() % len(items)]

    def chance(self, per_mille):
        return self.next() % 1000 < per_mille

    def weighted(self, pairs):
        n = self.next() % sum(weight for _, weight in pairs)
        for item, weight in pairs:
            if n < weight:
                return item
            n -= weight
        raise AssertionError("unreachable")


# --- numbers with check digits --------------------------------------------

ID_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
ID_MAP = "10X98765432"


def id_check(first17):
    """GB 11643-1999: the 18th character."""
    return ID_MAP[sum(int(d) * w for d, w in zip(first17, ID_WEIGHTS)) % 11]


def id_number(region, birth, sequence):
    first17 = f"{region}{birth:%Y%m%d}{sequence:03d}"
    return first17 + id_check(first17)


def luhn_check(digits):
    total = 0
    for i, d in enumerate(reversed(digits)):
        n = int(d)
        if i % 2 == 0:
            n = n * 2 - 9 if n > 4 else n * 2
        total += n
    return str(-total % 10)


def age_on(birth, day=TODAY):
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


# --- names ----------------------------------------------------------------

SURNAMES = [
    ("王", 90), ("李", 85), ("张", 82), ("刘", 66), ("陈", 30), ("杨", 32), ("赵", 42),
    ("孙", 26), ("马", 22), ("高", 20), ("郭", 20), ("韩", 14), ("胡", 12), ("朱", 10),
    ("徐", 12), ("宋", 14), ("梁", 8), ("冯", 9), ("董", 9), ("程", 7), ("曹", 8),
    ("许", 7), ("邓", 4), ("田", 9), ("任", 7), ("范", 6), ("石", 6), ("崔", 8),
    ("贾", 8), ("魏", 8), ("薛", 5), ("阎", 4), ("齐", 5), ("康", 5), ("史", 5),
    ("侯", 5), ("孟", 5), ("白", 5), ("郝", 5), ("尹", 4), ("纪", 3), ("苗", 3),
    # Surnames a reader or a pinyin table easily gets wrong, and compound ones.
    ("单", 4), ("解", 4), ("仇", 3), ("曾", 4), ("查", 3), ("区", 2), ("朴", 1),
    ("尉迟", 2), ("欧阳", 2), ("万俟", 1),
]
# The surnames each village is full of.
VILLAGE_SURNAMES = {
    101: ["王", "李"], 102: ["张", "刘"], 103: ["赵", "杨"],
    104: ["李", "陈"], 201: ["张", "孙"], 202: ["刘", "高"],
}
# Surnames that must be there.
MUST_HAVE = {
    102: ["查", "区"], 103: ["朴", "尉迟"], 104: ["欧阳", "万俟"],
    201: ["单", "解", "仇", "区", "尉迟"], 202: ["曾", "查", "朴", "欧阳", "万俟"],
}

RARE = ["喆", "堃", "燚", "淼", "犇", "翀", "赟", "珺", "㛃", "䶮", "𬭚", "𬍛", "𪻐"]
RARE_FIRST = ["", "", "", "文", "宇", "子", "一", "晓"]

# (born before, sex) -> first characters, second characters, one-character names
GIVEN = [
    (1950, "男", "福德玉金长国文树春连广景庆振保贵万兴永", "生山林田海贵财祥发才堂江忠义和顺成栓魁有", ""),
    (1950, "女", "桂秀玉凤淑素兰金春翠月巧瑞贵荣", "兰英珍芳荣花芝梅云莲琴娥香霞枝芬", ""),
    (1970, "男", "建国志永卫红保爱文秋春双庆增新", "民强平明国生忠良全旺增来林山辉", ""),
    (1970, "女", "淑秀玉桂爱春红丽俊素秋翠凤", "芬英琴霞敏萍玲荣珍改枝红梅云", ""),
    (1990, "男", "海建永少红振彦春占文", "涛伟强军波峰辉杰鹏斌勇亮刚磊龙飞", "磊军勇超亮波辉刚"),
    (1990, "女", "丽晓海艳红春秀彦雪俊亚", "娟霞艳敏玲燕红静梅芳云", "娟敏静艳燕霞"),
    (2008, "男", "子浩宇家志晓天文泽世", "豪轩鹏超龙飞阳辉凯帅博强宁", "帅凯浩鑫旭博硕"),
    (2008, "女", "佳梦雨欣思晓文雅静诗若亚", "琪瑶雪婷怡涵慧洁颖楠月茹", "婷悦雪颖倩琳慧楠"),
    (9999, "男", "梓浩子宇沐一奕景泽铭嘉", "轩宸泽辰阳睿航霖恒然涵博", ""),
    (9999, "女", "梓雨欣一诗若语思沐依可子", "涵萱诺怡彤妍晴琪桐瑶汐欣", ""),
]

NICKNAMES = {
    "男": ["二狗", "石头", "铁蛋", "狗剩", "栓柱", "大壮", "小虎", "老三", "锁子", "拴牢",
           "黑蛋", "满仓", "根儿", "柱子", "毛毛", "二小", "羊娃", "牛牛", "豆豆", "臭蛋"],
    "女": ["三丫", "大妮", "二妮", "妞妞", "小改", "招弟", "丫头", "四妮", "囡囡", "巧儿",
           "花妮", "麦穗", "小满", "腊月", "甜甜", "圆圆", "五丫", "杏儿", "枣花", "秋妮"],
}


def given_name(rng, sex, birth, rare_left):
    if birth.year >= 1965:
        if rare_left and rng.chance(60):
            return rng.pick(RARE_FIRST) + rare_left.pop()
        if rng.chance(12):
            return rng.pick(RARE_FIRST) + rng.pick(RARE)
    for before, row_sex, first, second, single in GIVEN:
        if birth.year < before and sex == row_sex:
            break
    if single and rng.chance(220):
        return rng.pick(single)
    while True:
        a, b = rng.pick(first), rng.pick(second)
        if a != b:
            return a + b


# --- people, and those that tests can rely on ----------------------------

class Person:
    def __init__(self, sex, birth, relation, surname, minority="汉族"):
        self.sex, self.birth, self.relation = sex, birth, relation
        self.surname, self.minority = surname, minority
        self.name = self.id = None
        self.phone = self.nickname = self.card = self.disability = ""
        self.veteran = False
        self.married_in = False

    @property
    def age(self):
        return age_on(self.birth)


class Household:
    def __init__(self, people, group=None, house=None, low_income=False):
        self.people, self.group, self.house = people, group, house
        self.low_income = low_income


def known(name, sex, birth, sequence, relation="户主", phone="", nickname="", card="",
          disability="", veteran=False, region=COUNTY_REGION, minority="汉族"):
    """A person written out in full: no random number reaches this row."""
    assert (sequence % 2 == 1) == (sex == "男")
    p = Person(sex, date.fromisoformat(birth), relation, name[0], minority)
    p.name = name
    p.id = id_number(region, p.birth, sequence)
    p.phone, p.nickname, p.veteran = phone, nickname, veteran
    p.card = card + luhn_check(card) if card else ""
    p.disability = p.id + disability if disability else ""
    return p


def fixed_households():
    return {
        101: [
            Household([
                known("单秀英", "女", "1938-03-12", 46, phone="13900000103",
                      nickname="英奶奶", card="629999000000000103"),
            ], group=1, house=5),
            Household([
                known("解永红", "男", "1955-08-01", 17, phone="13900000104",
                      nickname="老解", card="629999000000000104", veteran=True),
                known("赵玉芬", "女", "1957-11-20", 28, "配偶", phone="13900000114",
                      card="629999000000000114", region="130926"),
            ], group=2, house=9),
            Household([
                known("王福生", "男", "1941-02-03", 13, phone="13900000102",
                      nickname="福叔", card="629999000000000102", disability="41"),
                known("张桂兰", "女", "1943-05-06", 24, "配偶", phone="13900000101",
                      nickname="兰婶", card="629999000000000101"),
            ], group=3, house=16, low_income=True),
            Household([
                known("仇志强", "男", "1960-10-17", 35, phone="13900000105",
                      nickname="强子", card="629999000000000105"),
                known("刘淑琴", "女", "1962-04-09", 62, "配偶", phone="13900000115"),
            ], group=4, house=21),
            Household([
                known("曾德全", "男", "1971-01-25", 51, phone="13900000116",
                      card="629999000000000116"),
                known("马春霞", "女", "1973-09-14", 40, "配偶", phone="13900000126"),
                known("曾小妹", "女", "1999-06-18", 82, "女", phone="13900000106",
                      nickname="小妹", card="629999000000000106"),
            ], group=5, house=7),
            Household([
                known("李䶮", "男", "1978-02-20", 55, phone="13900000107",
                      nickname="石头", card="629999000000000107"),
                known("孙丽娟", "女", "1980-12-03", 66, "配偶", phone="13900000117",
                      card="629999000000000117"),
                known("李沐阳", "男", "2009-07-30", 19, "子"),
            ], group=6, house=14),
        ],
        102: [
            Household([
                known("买买提·吐尔逊江", "男", "1984-04-12", 33, phone="13900000109",
                      card="629999000000000109", minority="维吾尔族"),
                known("杨海燕", "女", "1986-08-22", 48, "配偶", phone="13900000119"),
            ], group=2, house=11),
        ],
        104: [
            Household([
                known("陈阿婆", "女", "1930-09-09", 20, phone="13900000108",
                      nickname="桥头阿婆", card="629999000000000108"),
            ], group=2, house=3),
        ],
    }


# --- households -----------------------------------------------------------

class County:
    def __init__(self):
        self.rng = Rng(SEED)
        places = json.loads((HERE / "places.json").read_text(encoding="utf-8"))
        self.places = {p["id"]: p for p in places["places"]}
        self.county = places["county"]
        self.ids, self.phones, self.cards = set(), set(), set()
        self.reserved = set()
        self.rare_left = []

    # Birth dates.

    def born(self, low, high):
        """A birth date that makes a person low..high years old today."""
        first = date(TODAY.year - high - 1, TODAY.month, TODAY.day) + timedelta(days=1)
        last = date(TODAY.year - low, TODAY.month, TODAY.day)
        return first + timedelta(days=self.rng.between(0, (last - first).days))

    def old_age(self, low, high):
        """Fewer people the older they are: the smaller of two draws."""
        return min(self.rng.between(low, high), self.rng.between(low, high))

    # People.

    def surname(self, village, other_than=None):
        while True:
            if self.rng.chance(300):
                s = self.rng.pick(VILLAGE_SURNAMES[village])
            else:
                s = self.rng.weighted(SURNAMES)
            if s != other_than:
                return s

    def minority(self, surname):
        if surname == "朴":
            return "朝鲜族"
        if surname == "马" and self.rng.chance(350):
            return "回族"
        return "满族" if self.rng.chance(12) else "汉族"

    def person(self, sex, age, relation, surname, minority="汉族"):
        return Person(sex, self.born(age, age), relation, surname, minority)

    def wife(self, village, husband, relation="配偶"):
        age = max(20, husband.age - self.rng.between(-2, 5))
        surname = self.surname(village, other_than=husband.surname)
        if husband.minority == "回族":
            minority = "回族"
        else:
            minority = "朝鲜族" if surname == "朴" else "汉族"
        w = self.person("女", age, relation, surname, minority)
        w.married_in = True
        return w

    def children(self, mother_age, count, father, son, daughter, oldest_kept=26):
        """Oldest first; at least a year and a half between two."""
        out, gap = [], mother_age - self.rng.between(21, 30)
        for _ in range(count):
            if gap < 0 or mother_age - gap > 40:
                break
            sex = self.rng.pick(["男", "女"])
            if gap <= oldest_kept:
                out.append(self.person(sex, gap, son if sex == "男" else daughter,
                                       father.surname, father.minority))
            gap -= self.rng.between(3, 7)
        return out

    def head(self, village, sex, age, surname=None):
        surname = surname or self.surname(village)
        return self.person(sex, age, "户主", surname, self.minority(surname))

    # Kinds of household. Each returns the people in it, the head first.

    def old_couple(self, village, surname):
        h = self.head(village, "男", self.old_age(66, 98), surname)
        return [h, self.wife(village, h)]

    def old_alone(self, village, surname):
        sex = "女" if self.rng.chance(680) else "男"
        return [self.head(village, sex, self.rng.between(69, 96), surname)]

    def family(self, village, surname):
        h = self.head(village, "男", self.rng.between(29, 56), surname)
        w = self.wife(village, h)
        people = [h, w]
        people += self.children(w.age, self.rng.weighted([(1, 35), (2, 50), (3, 15)]), h, "子", "女")
        if self.rng.chance(520):
            father_age = h.age + self.rng.between(22, 33)
            if father_age <= 94 and self.rng.chance(620):
                people.append(self.person("男", father_age, "父亲", h.surname, h.minority))
            mother_age = h.age + self.rng.between(20, 31)
            if mother_age <= 99 and self.rng.chance(820):
                m = self.person("女", mother_age, "母亲",
                                self.surname(village, h.surname), h.minority)
                m.married_in = True
                people.append(m)
        return people

    def three_generations(self, village, surname):
        h = self.head(village, "男", self.rng.between(56, 84), surname)
        people = [h]
        if self.rng.chance(750):
            people.append(self.wife(village, h))
        son = self.person("男", h.age - self.rng.between(23, 30), "子", h.surname, h.minority)
        people.append(son)
        w = self.wife(village, son, "儿媳")
        people.append(w)
        people += self.children(w.age, self.rng.between(1, 2), son, "孙子", "孙女", 22)
        return people

    def left_behind(self, village, surname):
        """Grandparents with their grandchildren; the parents work away."""
        h = self.head(village, "男", self.rng.between(56, 74), surname)
        people = [h, self.wife(village, h)]
        age = h.age - self.rng.between(47, 54)
        for _ in range(self.rng.between(1, 2)):
            if 0 <= age <= 17:
                sex = self.rng.pick(["男", "女"])
                people.append(self.person(sex, age, "孙子" if sex == "男" else "孙女",
                                          h.surname, h.minority))
            age -= self.rng.between(2, 5)
        return people

    def middle_aged(self, village, surname):
        h = self.head(village, "男", self.rng.between(47, 62), surname)
        w = self.wife(village, h)
        return [h, w] + self.children(w.age, self.rng.between(1, 2), h, "子", "女", 34)

    def mother_and_children(self, village, surname):
        h = self.head(village, "女", self.rng.between(32, 52), surname)
        # The children have their father's name, whatever it is.
        father = Person("男", h.birth, "", self.surname(village, h.surname), h.minority)
        return [h] + self.children(h.age, self.rng.between(1, 2), father, "子", "女")

    def bachelor(self, village, surname):
        return [self.head(village, "男", self.rng.between(34, 72), surname)]

    def very_old_mother(self, village, age):
        h = self.head(village, "男", age - self.rng.between(24, 28))
        m = self.person("女", age, "母亲", self.surname(village, h.surname), h.minority)
        m.married_in = True
        return [h, self.wife(village, h), m]

    def newborn(self, village):
        h = self.head(village, "男", 28)
        baby = self.person("女", 0, "女", h.surname, h.minority)
        baby.birth = date(2026, 11, 15)
        return [h, self.wife(village, h), baby]

    KINDS = [
        # (kind, low-income households in a thousand), weight
        ((old_couple, 65), 25), ((old_alone, 125), 14), ((family, 38), 36),
        ((three_generations, 35), 15), ((left_behind, 70), 7),
        ((middle_aged, 40), 11), ((mother_and_children, 140), 2), ((bachelor, 140), 4),
    ]

    # Filling in.

    def name_people(self, people, taken_heads):
        """Names differ inside a household, and heads' names inside a group."""
        names = set()
        for p in people:
            while True:
                name = p.surname + given_name(self.rng, p.sex, p.birth, self.rare_left)
                if name in names or name in self.reserved:
                    continue
                if p.relation == "户主" and name in taken_heads:
                    continue
                break
            p.name = name
            names.add(name)

    def unique(self, make, taken):
        while True:
            value = make()
            if value not in taken:
                taken.add(value)
                return value

    def make_id(self, p):
        region = COUNTY_REGION
        if p.married_in and self.rng.chance(150):
            region = self.rng.pick(OTHER_REGIONS)
        odd = p.sex == "男"

        def make():
            # In regions that exist, keep to sequence numbers that a day's
            # births hardly ever reach.
            low = 1 if region == COUNTY_REGION else 950
            n = self.rng.between(low, 994)
            return id_number(region, p.birth, n if (n % 2 == 1) == odd else n + 1)

        return self.unique(make, self.ids)

    def make_phone(self):
        prefix = self.rng.pick(["139", "138", "137", "136", "135", "130", "131", "133", "150",
                                "151", "158", "159", "166", "177", "186", "188", "189", "198"])
        return f"{prefix}0000{self.rng.between(1000, 9999)}"

    def make_card(self):
        body = f"629999{self.rng.between(10**11, 10**12 - 1)}"
        return body + luhn_check(body)

    def fill_in(self, p):
        rng = self.rng
        p.id = self.make_id(p)
        if p.age >= 18:
            if rng.chance(770 if p.age < 75 else 380):
                p.phone = self.unique(self.make_phone, self.phones)
            if rng.chance(600):
                p.card = self.unique(self.make_card, self.cards)
        if rng.chance(250):
            p.nickname = rng.pick(NICKNAMES[p.sex])
        if rng.chance(8 if p.age < 18 else 28 if p.age < 60 else 60):
            p.disability = f"{p.id}{rng.weighted([(1, 15), (2, 20), (3, 3), (4, 40), (5, 9), (6, 9), (7, 4)])}" \
                           f"{rng.weighted([(1, 12), (2, 25), (3, 33), (4, 30)])}"
        if p.sex == "男" and p.age > 60:
            p.veteran = rng.chance(40)

    def village(self, village_id, fixed):
        rng = self.rng
        groups = self.places[village_id]["groups"]
        households = list(fixed)
        left = HEADCOUNT[village_id] - sum(len(h.people) for h in fixed)

        special = [(lambda s=s: self.family(village_id, s)) for s in MUST_HAVE.get(village_id, [])]
        if village_id == 103:
            special.append(lambda: self.very_old_mother(village_id, 103))
        if village_id == 202:
            special.append(lambda: self.very_old_mother(village_id, 101))
        if village_id == 104:
            special.append(lambda: self.newborn(village_id))

        while left:
            if special:
                people, low_income = special.pop(0)(), 30
            else:
                kind, low_income = rng.weighted(self.KINDS)
                people = kind(self, village_id, None)
                if len(people) > left:
                    continue
            left -= len(people)
            households.append(Household(people, group=rng.between(1, groups),
                                        low_income=rng.chance(low_income)))

        for group in range(1, groups + 1):
            here = [h for h in households if h.group == group]
            numbers = {h.house for h in here if h.house}
            heads = {h.people[0].name for h in here if h.house}
            house = 0
            for h in here:
                if h.house:
                    continue
                house += 1
                while house in numbers:
                    house += 1
                h.house = house
                self.name_people(h.people, heads)
                heads.add(h.people[0].name)
                for p in h.people:
                    self.fill_in(p)
        return sorted(households, key=lambda h: (h.group, h.house))

    def row(self, village_id, household, p):
        v = self.places[village_id]
        town = self.places[v["parent"]]
        address = (f"{self.county['name']}{town['name']}{v['name']}"
                   f"{household.group}组{household.house}号")
        return [
            p.name, p.id, v["name"], str(household.group), household.people[0].name,
            p.relation, p.phone, p.nickname, address, p.minority, p.card, p.disability,
            "是" if household.low_income else "否", "是" if p.veteran else "否",
        ]

    def generate(self):
        """The rows of every township, by the township's id."""
        fixed = fixed_households()
        for households in fixed.values():
            for p in (p for h in households for p in h.people):
                self.ids.add(p.id)
                self.reserved.add(p.name)
        for r in broken_rows():
            self.ids.add(r[1].upper())
            self.reserved.add(r[0])

        townships = {}
        for village_id in HEADCOUNT:
            town = self.places[village_id]["parent"]
            if town not in townships:
                townships[town] = []
                self.rare_left = list(RARE)
            for household in self.village(village_id, fixed.get(village_id, [])):
                for p in household.people:
                    townships[town].append(self.row(village_id, household, p))
        return townships


# --- the broken file ------------------------------------------------------

class Number(str):
    """Text that goes into the spreadsheet as a number."""


def broken_rows():
    """Twelve good rows and ten others; README.md lists which is which."""

    def row(name, sex, birth, sequence, village, group, house, head=None, relation="户主", *,
            id=None, phone="", nickname="", card="", minority="汉族", low="否", veteran="否"):
        assert (sequence % 2 == 1) == (sex == "男")
        number = id_number(COUNTY_REGION, date.fromisoformat(birth), sequence)
        card = card + luhn_check(card) if card else ""
        return [name, id(number) if id else number, village, str(group), head or name, relation,
                phone, nickname, f"云溪县清河镇{village}{group}组{house}号", minority, card, "",
                low, veteran]

    def wrong_check(number):
        return number[:17] + str((int(number[17]) + 1) % 10)

    return [
        row("梁长海", "男", "1952-04-18", 111, "云岭村", 1, 91, phone="13800000201",
            card="629999000000000201"),                                              # 2 good
        row("宋淑珍", "女", "1955-10-02", 112, "云岭村", 1, 91, "梁长海", "配偶",
            phone="13800000202"),                                                    # 3 good
        row("田广义", "男", "1949-12-30", 113, "云岭村", 2, 92, phone="13800000203",
            id=lambda n: "1.30999E+17"),                                             # 4
        row("郝建民", "男", "1964-03-21", 115, "云岭村", 2, 93, phone="13800000204"),  # 5 good
        row("张桂兰", "女", "1943-05-06", 24, "云岭村", 3, 16, "王福生", "配偶",
            phone="13900000101", nickname="兰婶",
            id=lambda n: Number("130999194305060000")),                              # 6
        row("魏春玲", "女", "1966-07-07", 116, "云岭村", 2, 93, "郝建民", "配偶",
            phone="13800000205"),                                                    # 7 good
        row("范永林", "男", "1958-01-15", 117, "柳沟村", 1, 91, phone="13800000206",
            id=wrong_check),                                                         # 8
        row("崔海涛", "男", "1979-09-23", 119, "柳沟村", 1, 92, phone="13800000207",
            card="629999000000000207"),                                              # 9 good
        row("贾红梅", "女", "1968-05-11", 118, "柳沟村", 2, 93, phone="13800000208",
            id=lambda n: n[:17]),                                                    # 10
        row("康彦敏", "女", "1981-02-14", 120, "柳沟村", 1, 92, "崔海涛", "配偶"),       # 11 good
        row("石秋来", "男", "1963-11-09", 169, "柳沟村", 3, 94, phone="13800000209",
            id=str.lower),                                                           # 12
        row("崔宇航", "男", "2010-06-01", 123, "柳沟村", 1, 92, "崔海涛", "子"),         # 13 good
        row("崔语彤", "女", "2027-03-15", 124, "柳沟村", 1, 92, "崔海涛", "女"),         # 14
        row("薛瑞莲", "女", "1936-08-26", 126, "下庄村", 1, 91, nickname="三丫", low="是"),  # 15 good
        row("", "男", "1987-04-04", 125, "下庄村", 1, 91, "薛瑞莲", "孙子",
            phone="13800000210"),                                                    # 16
        row("孟卫国", "男", "1954-08-01", 127, "下庄村", 2, 92, phone="13800000211",
            veteran="是"),                                                           # 17 good
        row("尹双全", "男", "1961-12-12", 131, "上庄村", 2, 93, phone="13800000212"),    # 18
        row("史素琴", "女", "1957-03-08", 128, "下庄村", 2, 92, "孟卫国", "配偶",
            phone="13800000213"),                                                    # 19 good
        row("侯占军", "男", "1975-05-25", 133, "石桥村", 1, 91, phone="1380000O21A"),    # 20
        row("纪梓涵", "女", "2016-09-10", 130, "石桥村", 2, 92, "纪志伟", "女"),          # 21 good
        row("崔海滔", "男", "1979-09-23", 119, "柳沟村", 1, 92, phone="13800000207"),    # 22
        row("纪志伟", "男", "1986-10-20", 135, "石桥村", 2, 92, phone="13800000214",
            card="629999000000000214"),                                              # 23 good
    ]


# --- files ----------------------------------------------------------------

def csv_bytes(rows):
    """UTF-8 with a byte-order mark and CRLF, as a spreadsheet saves it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8")


XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOC_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PKG_REL = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
SHEET_ML = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def xlsx_bytes(sheet_name, rows, *, shared):
    """One sheet of text cells; a Number becomes a numeric cell.

    shared: put the text into the shared-string table, as spreadsheet programs
    do, or else into the cells, as many exporting programs do.
    """
    strings = {}
    count = 0
    lines = []
    for r, row in enumerate([COLUMNS] + rows, start=1):
        cells = []
        for c, value in enumerate(row):
            if value == "":
                continue
            ref = f"{chr(ord('A') + c)}{r}"
            if isinstance(value, Number):
                cells.append(f'<c r="{ref}" s="2"><v>{value}</v></c>')
            elif shared:
                index = strings.setdefault(value, len(strings))
                count += 1
                cells.append(f'<c r="{ref}" s="1" t="s"><v>{index}</v></c>')
            else:
                cells.append(f'<c r="{ref}" s="1" t="inlineStr"><is><t>{escape(value)}</t></is></c>')
        lines.append(f'<row r="{r}">{"".join(cells)}</row>')

    last = f"{chr(ord('A') + len(COLUMNS) - 1)}{len(rows) + 1}"
    sheet = (f'{XML}<worksheet xmlns="{MAIN}"><dimension ref="A1:{last}"/><sheetData>\n'
             + "\n".join(lines) + "\n</sheetData></worksheet>")
    styles = (f'{XML}<styleSheet xmlns="{MAIN}">'
              '<fonts count="1"><font><sz val="11"/><name val="宋体"/></font></fonts>'
              '<fills count="2"><fill><patternFill patternType="none"/></fill>'
              '<fill><patternFill patternType="gray125"/></fill></fills>'
              '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
              '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
              '<cellXfs count="3">'
              '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
              # 49 is text, 1 is a whole number
              '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
              '<xf numFmtId="1" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
              '</cellXfs>'
              '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
              '</styleSheet>')
    types = [("/xl/workbook.xml", "sheet.main"), ("/xl/worksheets/sheet1.xml", "worksheet"),
             ("/xl/styles.xml", "styles")]
    rels = [("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml")]
    if shared:
        types.append(("/xl/sharedStrings.xml", "sharedStrings"))
        rels.append(("sharedStrings", "sharedStrings.xml"))

    parts = [
        ("[Content_Types].xml",
         f'{XML}<Types xmlns="{TYPES}">'
         '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
         '<Default Extension="xml" ContentType="application/xml"/>'
         + "".join(f'<Override PartName="{n}" ContentType="{SHEET_ML}.{t}+xml"/>' for n, t in types)
         + "</Types>"),
        ("_rels/.rels",
         f'{XML}<Relationships xmlns="{PKG_REL}"><Relationship Id="rId1" '
         f'Type="{DOC_REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>'),
        ("xl/workbook.xml",
         f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{DOC_REL}"><sheets>'
         f'<sheet name="{escape(sheet_name)}" sheetId="1" r:id="rId1"/></sheets></workbook>'),
        ("xl/_rels/workbook.xml.rels",
         f'{XML}<Relationships xmlns="{PKG_REL}">'
         + "".join(f'<Relationship Id="rId{i}" Type="{DOC_REL}/{t}" Target="{n}"/>'
                   for i, (t, n) in enumerate(rels, start=1))
         + "</Relationships>"),
        ("xl/worksheets/sheet1.xml", sheet),
        ("xl/styles.xml", styles),
    ]
    if shared:
        parts.append((
            "xl/sharedStrings.xml",
            f'{XML}<sst xmlns="{MAIN}" count="{count}" uniqueCount="{len(strings)}">\n'
            + "\n".join(f"<si><t>{escape(s)}</t></si>" for s in strings) + "\n</sst>"))

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as z:
        for name, text in parts:
            info = zipfile.ZipInfo(name, (2026, 11, 22, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            z.writestr(info, text.encode("utf-8"))
    return out.getvalue()


def all_files():
    county = County()
    townships = county.generate()
    broken = broken_rows()
    return {
        "residents-qinghe.xlsx": xlsx_bytes("清河镇", townships[10], shared=True),
        "residents-baiyun.csv": csv_bytes(townships[20]),
        "residents-broken.csv": csv_bytes(broken),
        "residents-broken.xlsx": xlsx_bytes("名单", broken, shared=False),
    }


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: make_residents.py [--check]")
    stale = []
    for name, data in all_files().items():
        path = HERE / name
        if sys.argv[1:]:
            if not path.exists() or path.read_bytes() != data:
                stale.append(name)
        else:
            path.write_bytes(data)
            print(f"{name}: {len(data):,} bytes")
    if stale:
        sys.exit("not what this script writes: " + ", ".join(stale))


if __name__ == "__main__":
    main()
