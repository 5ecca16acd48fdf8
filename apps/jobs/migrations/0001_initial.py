from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Lock",
            fields=[
                ("name", models.CharField(max_length=150, primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=120)),
                ("expires_at", models.DateTimeField()),
            ],
        ),
    ]
