"""Models of all the kinds that queries have to do with. What must not be here: tests."""

from __future__ import annotations

from uuid import uuid4

from django.db import models

from cachewright.integrations.django import CachedManager


class Author(models.Model):
    """One with cached queries also where Django asks for a related object."""

    name = models.CharField(max_length=50)

    objects = CachedManager()

    class Meta:
        """Foreign keys to authors are followed through the cache."""

        base_manager_name = "objects"


class Label(models.Model):
    """The other end of many to many."""

    name = models.CharField(max_length=50, unique=True)

    objects = CachedManager()


class Book(models.Model):
    """The one that most tests are about."""

    author = models.ForeignKey(Author, models.CASCADE, null=True)
    title = models.CharField(max_length=50, db_index=True)
    stock = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=1)
    printed = models.DateField(null=True)
    changed = models.DateTimeField(auto_now=True)
    details = models.JSONField(null=True)
    labels = models.ManyToManyField(Label)

    objects = CachedManager()


class Copy(models.Model):
    """Goes with its book; has a plain manager."""

    book = models.ForeignKey(Book, models.CASCADE)
    code = models.UUIDField(default=uuid4, unique=True)


class Atlas(Book):
    """In two tables."""

    scale = models.IntegerField()

    objects = CachedManager()


class Member(models.Model):
    """A key that is no number."""

    code = models.UUIDField(primary_key=True, default=uuid4)
    name = models.CharField(max_length=50)

    objects = CachedManager()


class Leg(models.Model):
    """A key of two columns."""

    pk = models.CompositePrimaryKey("flight", "day")
    flight = models.CharField(max_length=20)
    day = models.DateField()
    seats = models.IntegerField(null=True)

    objects = CachedManager()


class Titled(models.Model):
    """A view."""

    title = models.CharField(max_length=50)

    class Meta:
        """Made by hand."""

        app_label = "library"
        managed = False
        db_table = "library_titled"
