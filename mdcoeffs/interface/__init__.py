"""Interfaces: profiles along the normal, barriers, regions and crossings."""
