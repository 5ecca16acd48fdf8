"""Room for what is searched and sorted by; the next migration fills it."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('catalog', '0005_leave_analysis_and_speakers'),
        ('voices', '0006_enrolment_space'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='TrackWords',
            fields=[
                ('track', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='searched', serialize=False, to='catalog.track')),
                ('words', models.TextField()),
            ],
        ),
        migrations.AlterModelOptions(
            name='collection',
            options={'ordering': ['sort_key', 'name']},
        ),
        migrations.AlterModelOptions(
            name='tag',
            options={'ordering': ['sort_key', 'name']},
        ),
        migrations.AddField(
            model_name='collection',
            name='sort_key',
            field=models.BinaryField(default=b'', help_text='Of its name'),
        ),
        migrations.AddField(
            model_name='tag',
            name='sort_key',
            field=models.BinaryField(default=b'', help_text='Of its name'),
        ),
        migrations.AddField(
            model_name='tag',
            name='words',
            field=models.TextField(default='', editable=False, help_text='Its name as it is searched'),
        ),
        migrations.AddField(
            model_name='track',
            name='sort_key',
            field=models.BinaryField(default=b'', help_text='Of its title'),
        ),
        migrations.AddIndex(
            model_name='track',
            index=models.Index(fields=['sort_key', '-id'], name='track_by_title'),
        ),
        migrations.AddIndex(
            model_name='track',
            index=models.Index(fields=['-sort_key', '-id'], name='track_by_title_backwards'),
        ),
    ]
